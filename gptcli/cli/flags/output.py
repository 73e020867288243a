"""How answers are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gptcli.cli.environment import Environment
from gptcli.config import Limit, option
from gptcli.plain import dataclass
from gptcli.ui.terminal.messages import Messages

if TYPE_CHECKING:
    import typer

_PANEL = "Output"


def _no_color(context: typer.Context) -> None:
    context.obj.forgo_colour()


@dataclass(frozen=True)
class Output:
    """What every command prints its answer by."""

    json: bool = option(False, "Print JSON.", panel=_PANEL, brief="Print JSON.")
    quiet: bool = option(
        False,
        "Nothing on stderr but errors and --stats.",
        *("-q", "--quiet"),
        panel=_PANEL,
        brief="Nothing on stderr but errors and --stats.",
    )
    no_color: bool = option(
        False, "No colours; NO_COLOR does the same.", panel=_PANEL, act=_no_color
    )

    def messages(self, environment: Environment) -> Messages:
        """stderr, for people."""
        return environment.messages(quiet=self.quiet)


@dataclass(frozen=True)
class CountedOutput(Output):
    """What an answer is printed by that takes a moment."""

    stats: bool = option(
        False,
        "Tokens, seconds and the like, on stderr.",
        panel=_PANEL,
    )


@dataclass(frozen=True)
class TextOutput(CountedOutput):
    """What an answer in words is printed by."""

    show_prompt: bool = option(
        False, "Print the document that the model would continue, and no answer.", panel=_PANEL
    )
    stream: bool | None = option(
        None,
        "Print text as it comes, or when it is done. Text streams by itself; --json prints one"
        " object, and with --stream JSON lines.",
        "--stream/--no-stream",
        panel=_PANEL,
    )
    logprobs: int | None = option(
        None,
        "With --json: the log-probability of every token, and of the K likeliest there.",
        metavar="K",
        panel=_PANEL,
        limit=Limit(0, 1000),
    )

    @property
    def waits(self) -> bool:
        """Whether text is printed when it is done; JSON has its own way."""
        return self.stream is False and not self.json
