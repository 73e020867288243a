"""Tables: aligned to the terminal's width, tab-separated elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from gptcli.ui.terminal.visible import isolated, shortened
from gptcli.ui.terminal.writer import console_for, one_line, width_of

_GAP = 2


@dataclass(frozen=True)
class Column:
    """A column of `fitted`.

    keep: when the terminal is narrow, columns with the lowest keep go first; those with keep 0
    are never dropped. shrink: cells may be shortened, down to `least` cells.
    """

    head: str
    right: bool = False
    keep: int = 0
    shrink: bool = False
    least: int = 4
    style: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell with a style of its own, and with other text for programs than for people."""

    text: str
    style: str = ""
    data: str | None = None


def fitted(stream: TextIO, columns: Sequence[Column], rows: Sequence[Sequence[str | Cell]]) -> None:
    """Rows that never break: on a terminal, columns are dropped and cells shortened until they fit.

    Elsewhere every column is written, heads first, tab-separated, uncut.
    """
    cells = [[each if isinstance(each, Cell) else Cell(each) for each in row] for row in rows]
    if not stream.isatty():
        print("\t".join(column.head for column in columns), file=stream)
        for row in cells:
            texts = (cell.text if cell.data is None else cell.data for cell in row)
            print("\t".join(map(one_line, texts)), file=stream)
        return
    console = console_for(stream)
    for line in lines(columns, cells, width_of(stream)):
        console.print(line, soft_wrap=True)


def lines(columns: Sequence[Column], rows: Sequence[Sequence[str | Cell]], room: int) -> list[Text]:
    """The heads and the rows of `fitted` as lines of at most `room` cells."""
    cells = [[each if isinstance(each, Cell) else Cell(each) for each in row] for row in rows]
    widths = _widths(columns, cells, room)
    kept = [index for index, width in enumerate(widths) if width]
    found = []
    for row in [[Cell(column.head, "dim") for column in columns], *cells]:
        line = Text(no_wrap=True, overflow="crop", end="")
        for place, index in enumerate(kept):
            last = place == len(kept) - 1
            _append(line, columns[index], row[index], widths[index], last=last)
        found.append(line)
    return found


def banded(stream: TextIO, columns: Sequence[Column], rows: Sequence[Sequence[str | Cell]]) -> None:
    """As `fitted`, but no column is lost: on a narrow terminal the columns after the first stand
    in several tables below each other, each with the first column before them.
    """
    if not stream.isatty():
        fitted(stream, columns, rows)
        return
    cells = [[each if isinstance(each, Cell) else Cell(each) for each in row] for row in rows]
    widths = _natural(columns, cells)
    least = min(widths[0], columns[0].least) if columns[0].shrink else widths[0]
    room = width_of(stream) - least
    band: list[int] = []
    bands = [band]
    for index in range(1, len(columns)):
        if band and sum(widths[i] + _GAP for i in [*band, index]) > room:
            bands.append(band := [])
        band.append(index)
    for number, chosen in enumerate(bands):
        if number:
            print(file=stream)
        picked = [0, *chosen]
        fitted(stream, [columns[i] for i in picked], [[row[i] for i in picked] for row in cells])


def _append(line: Text, column: Column, cell: Cell, width: int, *, last: bool) -> None:
    text = shortened(one_line(cell.text), width)
    pad = " " * (width - cell_len(text))
    style = cell.style or column.style
    if column.right:
        line.append(pad)
    line.append(isolated(text), style=style)
    if not last:
        line.append(("" if column.right else pad) + " " * _GAP)


def _natural(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> list[int]:
    """Cells that each column would like to have."""
    return [
        max([cell_len(column.head), *(cell_len(one_line(row[index].text)) for row in rows)])
        for index, column in enumerate(columns)
    ]


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], room: int) -> list[int]:
    """Cells for each column, 0 for those that are dropped."""
    widths = _natural(columns, rows)
    droppable = sorted(
        (index for index, column in enumerate(columns) if column.keep),
        key=lambda index: columns[index].keep,
    )
    while True:
        kept = [index for index, width in enumerate(widths) if width]
        excess = sum(widths) + _GAP * (len(kept) - 1) - room
        if excess <= 0:
            return widths
        flexible = [index for index in kept if columns[index].shrink]
        spare = sum(max(widths[index] - columns[index].least, 0) for index in flexible)
        if spare >= excess or not droppable:
            for index in flexible:
                cut = min(excess, max(widths[index] - columns[index].least, 0))
                widths[index] -= cut
                excess -= cut
            # Columns that should stay whole: an end that is cut off is marked, a broken row is not.
            for _ in range(max(excess, 0)):
                widest = max(kept, key=lambda index: widths[index])
                widths[widest] = max(widths[widest] - 1, 1)
            return widths
        widths[droppable.pop(0)] = 0


def table(stream: TextIO, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows under heads, long cells folded: for few columns of words."""
    if not stream.isatty():
        for row in rows:
            print("\t".join(one_line(cell) for cell in row), file=stream)
        return
    found = Table(*heads, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        found.add_row(*(Text(one_line(cell), overflow="fold") for cell in row))
    console_for(stream).print(found)


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
    console_for(stream).print(grid)
