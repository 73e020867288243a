"""Whether what is asked and answered is logged."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path

from gptcli.config import option
from gptcli.errors import UsageError
from gptcli.plain import dataclass

OFF = "off"


def _place(text: str) -> str:
    """A file's name has a dot or a slash: what is misspelt must not become a file."""
    if text != OFF and not {".", "/"} & {*text}:
        raise ValueError(f"must be {OFF} or a file, such as ./{text}.jsonl, not {text!r}")
    return text


@dataclass(frozen=True)
class Logging:
    """A file of what was asked and answered. by_hand: the fields that the command line gave."""

    log: str = option(
        OFF,
        "Add a JSON line for each answer to a file, which only you can read: time, model, prompt,"
        " settings, seed, answer. A name with a dot or a slash; off. Batches and evaluations are"
        " not logged. Default: off.",
        metavar="FILE|off",
        panel="Output",
        parse=_place,
        setting=True,
    )
    by_hand: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def file(self) -> Path | None:
        """Where to, None for nowhere."""
        return None if self.log == OFF else Path(self.log).expanduser()

    @property
    def asked(self) -> bool:
        """Whether the command line asks for it."""
        return "log" in self.by_hand and self.log != OFF

    def refuse(self, flag: str) -> None:
        """Raise UsageError where the command line asks for it beside a flag that answers nothing
        that is logged.
        """
        if self.asked:
            raise UsageError("--log", f"cannot be combined with {flag}")
