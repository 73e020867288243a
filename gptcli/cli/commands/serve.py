"""`gptcli serve`: a model that stays open, behind HTTP or in the background."""

from __future__ import annotations

from typing import Annotated

from gptcli.backends import is_elsewhere
from gptcli.cli.commands.serve_background import tend
from gptcli.cli.commands.serve_http import serve_http
from gptcli.cli.environment import Environment
from gptcli.cli.flags.background import Background
from gptcli.cli.flags.groups import Given, but
from gptcli.cli.flags.output import Output
from gptcli.cli.flags.serving import Serving
from gptcli.errors import UsageError
from gptcli.types.compute import DRAFTING, REMOTE, Compute

#: (what it is for, the command), for the man page.
EXAMPLES = (
    ("The default model, for programs of this machine.", "gptcli serve"),
    ("Keep it open, so that other commands begin at once.", "gptcli serve --background"),
    ("Which servers run, and how much memory they hold.", "gptcli serve --status"),
    ("End those of one model; without -m, all.", "gptcli serve --stop -m gpt2"),
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
    background: Background,
    compute: Annotated[Compute, but(no_server=None, **dict.fromkeys((*DRAFTING, *REMOTE)))],
    output: Annotated[Output, but(json="With --status: a JSON array, an object for each server.")],
    given: Given,
) -> None:
    """Serve a model to other commands, and by OpenAI's API.

    Programs name http://127.0.0.1:8080/v1 as their base URL. Texts are drawn side by side, and each
    is the one that it would be alone, for the same seed. stderr has a line for each request, none
    of its text. Ctrl-C or SIGTERM takes no more requests and ends when those that are open do,
    within 30 seconds; a second one ends at once. gptcli-serve(7) tells what can be asked.

    Other commands of yours about the same model and settings use a server by themselves, and print
    what they would without it, only sooner; --no-server, or GPTCLI_NO_SERVER, keeps one from it.
    They come by a socket that only you can open. --background starts a server for them alone.
    """
    if is_elsewhere(compute):
        reason = "is answered by a server already: what is served is a model of this machine"
        raise UsageError(f"--model {compute.model}", reason)
    if background.asked:
        tend(environment, background, compute, output, given)
    else:
        serve_http(environment, serving, compute, output)
