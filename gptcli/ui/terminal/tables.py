"""Tables as wide as a terminal at most: which columns stay, how wide they are."""

from __future__ import annotations

from collections.abc import Sequence

from gptcli.plain import dataclass
from gptcli.ui.terminal import paint
from gptcli.ui.terminal.visible import isolated, one_line, shortened

_GAP = 2


@dataclass(frozen=True)
class Column:
    """A column of a table.

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
    data: str | bytes | None = None


def text_of(cell: str | Cell) -> str:
    """What people read in a cell."""
    return cell.text if isinstance(cell, Cell) else cell


def data_of(cell: str | Cell) -> str | bytes:
    """What programs read in a cell."""
    return cell.data if isinstance(cell, Cell) and cell.data is not None else text_of(cell)


def lines(
    columns: Sequence[Column], rows: Sequence[Sequence[str | Cell]], room: int
) -> list[paint.Text]:
    """The heads and the rows as lines of at most `room` cells, none of which breaks.

    Columns are dropped and cells shortened until they fit.
    """
    widths = _widths(columns, rows, room)
    kept = [index for index, width in enumerate(widths) if width]
    found = []
    for row in [[Cell(column.head, "dim") for column in columns], *rows]:
        line = paint.Text(no_wrap=True, overflow="crop", end="")
        for place, index in enumerate(kept):
            last = place == len(kept) - 1
            _append(line, columns[index], row[index], widths[index], last=last)
        found.append(line)
    return found


def fits(columns: Sequence[Column], rows: Sequence[Sequence[str | Cell]], room: int) -> bool:
    """Whether a line has room for every column, with nothing shortened."""
    widths = _natural(columns, rows)
    return sum(widths) + _GAP * (len(widths) - 1) <= room


def bands(
    columns: Sequence[Column], rows: Sequence[Sequence[str | Cell]], room: int
) -> list[list[int]]:
    """The columns of tables below each other, where no column may be lost: each has the first."""
    widths = _natural(columns, rows)
    least = min(widths[0], columns[0].least) if columns[0].shrink else widths[0]
    room -= least
    band = [0]
    found = [band]
    for index in range(1, len(columns)):
        if len(band) > 1 and sum(widths[i] + _GAP for i in [*band[1:], index]) > room:
            found.append(band := [0])
        band.append(index)
    return found


def folded(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> paint.Table:
    """Rows under heads, long cells folded."""
    found = paint.Table(*heads, box=paint.box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        found.add_row(*(paint.Text(one_line(cell), overflow="fold") for cell in row))
    return found


def named(rows: Sequence[tuple[str, str]]) -> paint.Table:
    """Names and values, long values folded."""
    grid = paint.Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(name, paint.Text(one_line(value)))
    return grid


def _append(line: paint.Text, column: Column, cell: str | Cell, width: int, *, last: bool) -> None:
    text = shortened(one_line(text_of(cell)), width)
    pad = " " * (width - paint.cell_len(text))
    style = (cell.style if isinstance(cell, Cell) else "") or column.style
    if column.right:
        line.append(pad)
    line.append(isolated(text), style=style)
    if not last:
        line.append(("" if column.right else pad) + " " * _GAP)


def _natural(columns: Sequence[Column], rows: Sequence[Sequence[str | Cell]]) -> list[int]:
    """Cells that each column would like to have."""
    return [
        max(
            [
                paint.cell_len(column.head),
                *(paint.cell_len(one_line(text_of(row[index]))) for row in rows),
            ]
        )
        for index, column in enumerate(columns)
    ]


def _widths(
    columns: Sequence[Column], rows: Sequence[Sequence[str | Cell]], room: int
) -> list[int]:
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
