"""What follows a prompt and is asked about."""

from __future__ import annotations

from gptcli.cli.flags.source import checked
from gptcli.config import option
from gptcli.errors import UsageError
from gptcli.plain import dataclass


@dataclass(frozen=True)
class Target:
    """A text whose probability is asked about, and another that it is held to."""

    target: str | None = option(
        None,
        'A text, " Paris" with its space, that is to follow the prompt. Its tokens count together.'
        " Default: the token that the model finds likeliest.",
        metavar="TEXT",
        brief="What is to follow the prompt.",
    )
    versus: str | None = option(
        None,
        "Another text that might: asked is by how much the log-probability of the first is more"
        " than this one's.",
        metavar="TEXT",
        brief="Another text that it is held to.",
    )

    def check(self) -> None:
        """Raise UsageError where both are one, InputError for what was not UTF-8."""
        for flag, text in (("--target", self.target), ("--versus", self.versus)):
            if text is not None:
                checked(text, flag)
        if self.target is not None and self.target == self.versus:
            raise UsageError("--versus", f"{self.target!r} is the target itself")
