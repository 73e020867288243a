"""`gptcli serve`: a model that stays open, for whoever asks."""

from __future__ import annotations

from typing import Annotated

from gptcli.cli.commands.serve_background import tend
from gptcli.cli.environment import Environment
from gptcli.cli.flags.background import Background
from gptcli.cli.flags.flatten import Given, but
from gptcli.cli.flags.output import Output
from gptcli.errors import UsageError
from gptcli.types.compute import Compute

#: (what it is for, the command), for the man page.
EXAMPLES = (
    ("Keep the default model open, so that commands begin at once.", "gptcli serve --background"),
    ("Which servers run, and how much memory they hold.", "gptcli serve --status"),
    ("End those of one model; without -m, all.", "gptcli serve --stop -m gpt2"),
)


def serve(
    environment: Environment,
    background: Background,
    compute: Annotated[Compute, but(no_server=None)],
    output: Annotated[Output, but(json="With --status: a JSON array, an object for each server.")],
    given: Given,
) -> None:
    """Keep a model open for others to ask.

    With --background, other commands of yours about the same model and settings use it by
    themselves, and answer as they would without: only sooner. --no-server, or GPTCLI_NO_SERVER,
    keeps one from it. Its socket is in a directory that nobody else can enter
    ($XDG_RUNTIME_DIR/gptcli, else gptcli-UID among temporary files), its log in servers/ of
    gptcli's data directory.
    """
    if not background.any:
        raise UsageError("serve", "needs --background, --status or --stop")
    tend(environment, background, compute, output, given)
