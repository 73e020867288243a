"""Distributions beside each other: a table on a terminal, tab-separated rows elsewhere."""

from __future__ import annotations

import math
from typing import TextIO

from gptcli.types.comparison import ComparedToken, Comparison
from gptcli.ui.terminal.tables import Cell, Column, banded, fitted
from gptcli.ui.terminal.visible import plainly, shortened, visible
from gptcli.ui.terminal.writer import width_of
from gptcli.ui.views.next_tokens import caption, number, where
from gptcli.ui.views.source import named
from gptcli.units import percent

NOT_COMPARABLE = "not comparable: the vocabularies differ"


def show(stream: TextIO, comparison: Comparison) -> None:
    """The tokens with a column for each distribution; on a terminal also the divergences."""
    names = [_name(i) for i in range(len(comparison.distributions))]
    if not stream.isatty():
        columns = [Column(head) for head in ("token", "id", *(f"probability_{n}" for n in names))]
        fitted(stream, columns, [_data_row(each) for each in comparison.tokens])
        return
    columns = [
        Column("token", shrink=True, least=8, style="bold"),
        *(Column(name, right=True) for name in names),
    ]
    rows = [_terminal_row(each) for each in comparison.tokens]
    banded(stream, columns, rows)
    print(file=stream)
    _divergences(stream, comparison, names)
    print(file=stream)
    _legend(stream, comparison, names)


def _name(place: int) -> str:
    """A, B, …, Z, A1, B1, …"""
    turn, letter = divmod(place, 26)
    return chr(ord("A") + letter) + (str(turn) if turn else "")


def _data_row(token: ComparedToken) -> list[str | Cell]:
    shares = ("" if share is None else number(share) for share in token.probabilities)
    return [visible(token.token.bytes), str(token.token.id), *shares]


def _terminal_row(token: ComparedToken) -> list[str | Cell]:
    likeliest = max(share or 0 for share in token.probabilities)
    row: list[str | Cell] = [visible(token.token.bytes)]
    for share in token.probabilities:
        if share is None:
            row.append(Cell("no token", "dim"))
        else:
            row.append(Cell(percent(share), "green" if share == likeliest else ""))
    return row


def _divergences(stream: TextIO, comparison: Comparison, names: list[str]) -> None:
    columns = [
        Column("bits", style="dim"),
        Column("KL(A‖·)", right=True, keep=2),
        Column("KL(·‖A)", right=True, keep=1),
        Column("JS", right=True),
    ]
    rows: list[list[str | Cell]] = []
    notes = []
    for name, each in zip(names[1:], comparison.divergences, strict=True):
        if each is None:
            notes.append(f"A and {name}: {NOT_COMPARABLE}")
        else:
            values = (each.forward, each.backward, each.jensen_shannon)
            rows.append([f"A, {name}", *map(_bits, values)])
    if rows:
        fitted(stream, columns, rows)
    for note in notes:
        caption(stream, note)


def _bits(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "infinite"


def _legend(stream: TextIO, comparison: Comparison, names: list[str]) -> None:
    sources = list(dict.fromkeys(each.source for each in comparison.distributions))
    for name, each in zip(names, comparison.distributions, strict=True):
        head = f"{name}  {named(each.source)}: " if len(sources) > 1 else f"{name}  "
        room = width_of(stream) - len(head)
        caption(stream, head + shortened(plainly(each.prompt), max(room, 8)))
    for source in sources:
        caption(stream, where(source))
