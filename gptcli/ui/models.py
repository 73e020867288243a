"""Models as tables on a terminal, as aligned text or JSON elsewhere.

The rooms above hand in plain values: this room knows nothing of `gptcli.models`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gptcli.ui.terminal import one_line


def table(stream: TextIO, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows under heads: with rules on a terminal, tab-separated without heads elsewhere."""
    if not stream.isatty():
        for row in rows:
            print("\t".join(one_line(cell) for cell in row), file=stream)
        return
    found = Table(*heads, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        found.add_row(*(Text(one_line(cell), overflow="fold") for cell in row))
    Console(file=stream).print(found)


def pairs(stream: TextIO, rows: Sequence[tuple[str, str]]) -> None:
    """Names and values: aligned on a terminal, tab-separated elsewhere."""
    if not stream.isatty():
        for name, value in rows:
            print(f"{name}\t{one_line(value)}", file=stream)
        return
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(name, Text(one_line(value)))
    Console(file=stream).print(grid)
