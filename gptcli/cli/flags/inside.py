"""What to look at inside a model, and the files to write it to."""

from __future__ import annotations

import re
from pathlib import Path

from gptcli.cli.flags.colours import Page
from gptcli.config import option
from gptcli.errors import UsageError
from gptcli.plain import dataclass
from gptcli.types.window import DEFAULT, Window

_PANEL = "Output"


def _window(text: str) -> Window:
    match = re.fullmatch(r"(-?[0-9]{1,9})?:(-?[0-9]{1,9})?", text)
    if match is None:
        raise UsageError("--window", f"must be START:STOP, not {text!r}", "for example: -20:")
    start, stop = (None if part is None else int(part) for part in match.groups())
    return Window(0 if start is None else start, stop)


@dataclass(frozen=True)
class Inside(Page):
    """The positions to look at, and where to write what is seen beside what is printed."""

    window: Window = option(
        Window(),
        "The positions to look at, from 0, STOP left out; below 0 from the end; `0:` is all."
        f" Default: the last {DEFAULT}.",
        metavar="START:STOP",
        brief="The positions to look at; `0:` is all.",
        parse=_window,
    )
    npz: Path | None = option(
        None, "Write the numbers as NumPy arrays as well.", metavar="FILE", panel=_PANEL
    )
    png: Path | None = option(
        None,
        "Write a picture as well, with matplotlib (the extra gptcli[plot]).",
        metavar="FILE",
        panel=_PANEL,
    )
