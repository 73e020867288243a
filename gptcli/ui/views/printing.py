"""Tables and what stands below them: laid out on a terminal, tab-separated elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal.tables import Cell, Column, bands, data_of, folded, lines, named
from gptcli.ui.terminal.writer import TerminalWriter, width_of


def fitted(stream: TextIO, columns: Sequence[Column], rows: Sequence[Sequence[str | Cell]]) -> None:
    """Rows that never break: on a terminal, columns are dropped and cells shortened until they fit.

    Elsewhere every column is written, heads first, tab-separated, uncut.
    """
    if stream.isatty():
        writer = TerminalWriter(stream)
        for line in lines(columns, rows, width_of(stream)):
            writer.line(line)
    else:
        heads = [column.head for column in columns]
        DataWriter(stream).rows([heads, *([data_of(cell) for cell in row] for row in rows)])


def banded(stream: TextIO, columns: Sequence[Column], rows: Sequence[Sequence[str | Cell]]) -> None:
    """As `fitted`, but no column is lost: on a narrow terminal the columns after the first stand
    in several tables below each other, each with the first column before them.
    """
    if not stream.isatty():
        fitted(stream, columns, rows)
        return
    for number, band in enumerate(bands(columns, rows, width_of(stream))):
        if number:
            TerminalWriter(stream).line()
        fitted(stream, [columns[i] for i in band], [[row[i] for i in band] for row in rows])


def table(stream: TextIO, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows under heads, long cells folded: for few columns of words. Elsewhere without heads."""
    if stream.isatty():
        TerminalWriter(stream).draw(folded(heads, rows))
    else:
        DataWriter(stream).rows(rows)


def pairs(stream: TextIO, rows: Sequence[tuple[str, str]]) -> None:
    """Names and values: aligned on a terminal, tab-separated elsewhere."""
    if stream.isatty():
        TerminalWriter(stream).draw(named(rows))
    else:
        DataWriter(stream).rows(rows)


def blank(stream: TextIO) -> None:
    """An empty line between tables."""
    if stream.isatty():
        TerminalWriter(stream).line()
    else:
        DataWriter(stream).write("\n")


def caption(stream: TextIO, text: str) -> None:
    """A dim line below a table, broken at spaces where it is longer than the terminal is wide."""
    TerminalWriter(stream).paragraph(text, style="dim")
