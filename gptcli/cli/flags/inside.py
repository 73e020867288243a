"""Options of the commands that look inside a model: what to look at, where to write it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from gptcli.errors import UsageError
from gptcli.types.window import DEFAULT, Window

_OUTPUT = "Output"

WindowOption = Annotated[
    str | None,
    typer.Option(
        "--window",
        metavar="START:STOP",
        show_default=False,
        help="The positions to look at, from 0, STOP left out; below 0 from the end; `0:` is all."
        f" Default: the last {DEFAULT}.",
    ),
]
Html = Annotated[
    Path | None,
    typer.Option(
        "--html",
        metavar="FILE",
        rich_help_panel=_OUTPUT,
        show_default=False,
        help="Write one self-contained page as well; - is stdout.",
    ),
]
Png = Annotated[
    Path | None,
    typer.Option(
        "--png",
        metavar="FILE",
        rich_help_panel=_OUTPUT,
        show_default=False,
        help="Write a picture as well, with matplotlib (the extra gptcli[plot]).",
    ),
]
Npz = Annotated[
    Path | None,
    typer.Option(
        "--npz",
        metavar="FILE",
        rich_help_panel=_OUTPUT,
        show_default=False,
        help="Write the numbers as NumPy arrays as well.",
    ),
]
JsonNumbers = Annotated[
    bool, typer.Option("--json", rich_help_panel=_OUTPUT, help="Print all numbers as JSON.")
]


def window_of(text: str | None) -> Window:
    """Raises UsageError for anything but START:STOP, either of them left out, or one number."""
    if text is None:
        return Window()
    match = re.fullmatch(r"(-?\d{1,9})?:(-?\d{1,9})?", text.strip())
    if match is None:
        raise UsageError("--window", f"must be START:STOP, not {text!r}", "for example: -20:")
    start, stop = (None if part is None else int(part) for part in match.groups())
    return Window(0 if start is None else start, stop)
