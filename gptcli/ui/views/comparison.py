"""Distributions beside each other: tables, tab-separated rows, JSON."""

from __future__ import annotations

import math
from typing import Any, TextIO

from gptcli.types.comparison import ComparedToken, Comparison
from gptcli.ui.data.values import finite, number, token_json
from gptcli.ui.terminal.tables import Cell, Column
from gptcli.ui.terminal.visible import plainly, shortened, visible
from gptcli.ui.terminal.writer import width_of
from gptcli.ui.views import next_tokens, source
from gptcli.ui.views.printing import banded, blank, caption, fitted
from gptcli.ui.views.source import named, where
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
    blank(stream)
    _divergences(stream, comparison, names)
    blank(stream)
    _legend(stream, comparison, names)


def _name(place: int) -> str:
    """A, B, …, Z, A1, B1, …"""
    turn, letter = divmod(place, 26)
    return chr(ord("A") + letter) + (str(turn) if turn else "")


def _data_row(token: ComparedToken) -> list[str | Cell]:
    shares = ("" if share is None else number(share) for share in token.probabilities)
    return [Cell("", data=token.token.bytes), str(token.token.id), *shares]


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
    for one in sources:
        caption(stream, where(one))


def as_json(found: Comparison) -> dict[str, Any]:
    """Distributions, their tokens beside each other, and divergences from the first in bits."""
    divergences = [
        None
        if each is None
        else {
            "kl": finite(each.forward),
            "kl_reverse": finite(each.backward),
            "js": each.jensen_shannon,
        }
        for each in found.divergences
    ]
    return {
        "object": "next_tokens.comparison",
        **source.fields(found.distributions[0].source),
        "distributions": [next_tokens.as_json(each) for each in found.distributions],
        "tokens": [
            {**token_json(each.token), "probabilities": list(each.probabilities)}
            for each in found.tokens
        ],
        "divergences": divergences,
    }
