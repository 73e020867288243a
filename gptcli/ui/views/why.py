"""On which parts of a prompt an answer hangs: text in colours, tables; rows; JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TextIO

from gptcli.types.why import Why
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal.heat import Heat
from gptcli.ui.terminal.pieces import has_colour, print_pieces
from gptcli.ui.terminal.tables import Cell, Column
from gptcli.ui.terminal.visible import neutral, visible
from gptcli.ui.terminal.writer import TerminalWriter
from gptcli.ui.views import odds
from gptcli.ui.views.odds import blocks, style_of, text_of
from gptcli.ui.views.printing import caption, fitted
from gptcli.ui.views.source import where
from gptcli.ui.views.surprisal import marked
from gptcli.ui.views.whole import Whole
from gptcli.ui.views.why_data import as_json, by_interaction, by_strength, rows
from gptcli.units import counted

__all__ = ["as_json", "notes", "show", "text_of", "told"]

#: Shares of the largest change that the legend has colours of.
_MARKS = (1.0, 0.5, 0.25)


def show(stream: TextIO, why: Why, most: int) -> None:
    """On a terminal what is asked, the prompt in colours and tables of so many rows at most.

    Elsewhere a row for each part, and for each pair.
    """
    if not stream.isatty():
        DataWriter(stream).rows(rows(why))
        return
    writer = TerminalWriter(stream)
    for line in told(why):
        writer.paragraph(line, style="bold")
    writer.line()
    if why.singles and has_colour(stream):
        _coloured(stream, why)
        writer.line()
    if why.singles:
        _parts(stream, why, most)
    if why.pairs:
        writer.line()
        _pairs(stream, why, most)
    for line in notes(why):
        caption(stream, line)
    caption(stream, where(why.source))


def told(why: Why) -> Iterator[str]:
    """What is asked about, in words."""
    yield from odds.told(why.asked)
    if why.partial:
        yield f"partial: {len(why.found)} of {why.asked.count} were computed"


def notes(why: Why) -> Iterator[str]:
    """What a reader should know beside the numbers."""
    asked = why.asked
    of = "the difference" if asked.versus is not None else "the log-probability"
    how = "is left out" if asked.put is None else f"is replaced by {visible(asked.put.bytes)}"
    yield (
        f"change: what becomes of {of}, in nats, when this {asked.request.by} alone {how}; below 0,"
        f" {text_of(asked.target)} hangs on it"
    )
    if why.pairs:
        yield "interaction: the change without both, less the two changes without one of them"
    yield "measured on prompts that lack it: maps of attention are no attributions"


def scale(why: Why) -> float:
    """The largest change of a single part, that others are shares of."""
    sizes = [abs(each) for each in why.changes.values() if math.isfinite(each)]
    return max(sizes, default=0.0) or 1.0


def pieces(why: Why) -> Iterator[tuple[bytes, tuple[int, ...], int | None]]:
    """The prompt in whole characters: their bytes, whose tokens' positions, and of which part.

    Of several parts that share a character, it is that which changes the most.
    """
    asked, changes = why.asked, why.changes
    part_of = {
        each.first + place: at
        for at, each in enumerate(asked.parts)
        for place in range(len(each.tokens))
    }

    def piece(data: bytes, group: tuple[int, ...]) -> tuple[bytes, tuple[int, ...], int | None]:
        parts = [part_of[position] for position in group if position in part_of]
        return data, group, max(parts, key=lambda at: abs(changes.get(at, 0.0)), default=None)

    whole = Whole[int]()
    for position, token in enumerate(asked.tokens):
        for found in whole.feed(token.bytes, position):
            yield piece(*found)
    for found in whole.finish():
        yield piece(*found)


def _coloured(stream: TextIO, why: Why) -> None:
    heat, largest, changes = Heat(stream), scale(why), why.changes

    def parts() -> Iterator[tuple[str, str]]:
        for data, _, part in pieces(why):
            try:
                text = neutral(data.decode())
            except UnicodeDecodeError:
                text = visible(data)
            change = None if part is None else changes.get(part)
            # What is not left out, or not yet, is grey.
            yield from marked(text, "dim" if change is None else heat.tint(-change / largest))

    print_pieces(stream, parts())
    print_pieces(stream, [("\n", ""), *_legend(heat, why)])


def _legend(heat: Heat, why: Why) -> Iterator[tuple[str, str]]:
    yield "change ", "dim"
    largest, values = scale(why), why.changes.values()
    low, high = (max((sign * each for each in values), default=0.0) for sign in (-1, 1))
    for share in (*_MARKS, *(-each for each in reversed(_MARKS))):
        # Only so far as there is anything.
        if (low if share > 0 else high) >= (abs(share) - 0.125) * largest:
            # No-break spaces keep each piece whole where the line is wrapped.
            yield f"\u00a0{-share * largest:+.2f}\u00a0", heat.tint(share)
            yield " ", ""


def _parts(stream: TextIO, why: Why, most: int) -> None:
    asked = why.asked
    columns = [
        Column("#", right=True, keep=2, style="dim"),
        Column(asked.request.by, shrink=True, least=8),
        Column("change", right=True),
        Column("", keep=1),
        Column("p without", right=True, keep=4),
        *([Column("versus", right=True, keep=3)] if asked.versus is not None else []),
    ]
    order = by_strength(why)
    largest = scale(why)
    table: list[list[str | Cell]] = []
    for each in order[:most]:
        part, change = asked.parts[each.parts[0]], why.change(each)
        style = style_of(change)
        table.append(
            [
                str(part.first),
                visible(part.bytes),
                Cell(f"{change:+.3f}", style),
                Cell(blocks(stream, abs(change) / largest), style),
                *odds.percents(each.odds),
            ]
        )
    fitted(stream, columns, table)
    if len(order) > most:
        what = f"the {most} strongest of {counted(len(order), asked.request.by)}"
        caption(stream, f"{what}; -k shows more")


def _pairs(stream: TextIO, why: Why, most: int) -> None:
    parts, order = why.asked.parts, by_interaction(why)
    columns = [
        Column("#", right=True, keep=1, style="dim"),
        Column("without", shrink=True, least=8),
        Column("and without", shrink=True, least=8),
        Column("change", right=True, keep=3),
        Column("interaction", right=True),
        Column("", keep=2),
    ]
    largest = max((abs(value) for _, value in order if math.isfinite(value)), default=0.0) or 1.0
    table: list[list[str | Cell]] = []
    for each, value in order[:most]:
        one, other = (parts[at] for at in each.parts)
        style = style_of(value)
        table.append(
            [
                f"{one.first}, {other.first}",
                visible(one.bytes),
                visible(other.bytes),
                f"{why.change(each):+.3f}",
                Cell(f"{value:+.3f}", style),
                Cell(blocks(stream, abs(value) / largest), style),
            ]
        )
    fitted(stream, columns, table)
    if len(order) > most:
        caption(stream, f"the {most} strongest of {counted(len(order), 'pair')}; -k shows more")
