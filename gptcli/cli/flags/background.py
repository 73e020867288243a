"""A server in the background: starting, seeing, ending."""

from __future__ import annotations

from dataclasses import dataclass

from gptcli.config import Limit, option
from gptcli.errors import UsageError

_PANEL = "Background"
#: Minutes without a question, after which a server leaves where nothing else is said.
IDLE_MINUTES = 15.0


@dataclass(frozen=True)
class Background:
    """What is done with servers that have no terminal."""

    background: bool = option(
        False,
        "Start one that other gptcli commands of yours use by themselves, where they are about the"
        " same model and settings; return when it is ready.",
        panel=_PANEL,
        brief="Start one for other gptcli commands.",
    )
    status: bool = option(
        False,
        "List those that other commands use: in the background, and for each model and its settings"
        " one in the foreground.",
        panel=_PANEL,
        brief="List those that run.",
    )
    stop: bool = option(
        False,
        "End those in the background, with --model those of one model.",
        panel=_PANEL,
        brief="End those in the background.",
    )
    idle_timeout: float | None = option(
        None,
        "With --background: leave after so many minutes without a question; 0 is never. Default:"
        f" {IDLE_MINUTES:.0f}.",
        metavar="MINUTES",
        panel=_PANEL,
        limit=Limit(0, 1e6),
    )

    @property
    def asked(self) -> bool:
        """Whether anything of this is asked for. Raises UsageError for what excludes another."""
        said = {"--background": self.background, "--status": self.status, "--stop": self.stop}
        given = [flag for flag, is_given in said.items() if is_given]
        if len(given) > 1:
            raise UsageError(given[0], f"cannot be combined with {given[1]}")
        if self.idle_timeout is not None and not self.background:
            raise UsageError("--idle-timeout", "needs --background")
        return bool(given)

    @property
    def idle_seconds(self) -> float | None:
        """Seconds without a question, after which it leaves; None for never."""
        minutes = IDLE_MINUTES if self.idle_timeout is None else self.idle_timeout
        return minutes * 60 or None
