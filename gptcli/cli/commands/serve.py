"""`gptcli serve`: a model behind HTTP, in the language that OpenAI's clients speak."""

from __future__ import annotations

from typing import Annotated

from gptcli.cli.commands.serve_http import serve_http
from gptcli.cli.environment import Environment
from gptcli.cli.flags.flatten import only
from gptcli.cli.flags.output import Output
from gptcli.cli.flags.serving import Serving
from gptcli.types.compute import Compute

#: (what it is for, the command), for the man page.
EXAMPLES = (
    ("The default model, for programs of this machine.", "gptcli serve"),
    ("Another model, on a port that is free.", "gptcli serve -m gpt2 --port 0"),
    (
        "For whoever may open a socket of the file system.",
        "gptcli serve --socket ~/.gptcli.socket",
    ),
    (
        "For other machines, which need the token that the file holds.",
        "gptcli serve --host 0.0.0.0 --token-file ~/.gptcli-token",
    ),
)


def serve(
    environment: Environment,
    serving: Serving,
    compute: Compute,
    output: Annotated[Output, only("quiet", "no_color")],
) -> None:
    """Serve a model to programs that speak OpenAI's API.

    Clients name http://127.0.0.1:8080/v1 as their base URL. Texts are drawn side by side, and each
    is the one that it would be alone, for the same seed. stderr has a line for each request, none
    of its text. Ctrl-C or SIGTERM takes no more requests and ends when those that are open do,
    within 30 seconds; a second one ends at once. gptcli-serve(7) tells what can be asked.
    """
    serve_http(environment, serving, compute, output)
