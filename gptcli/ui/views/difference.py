"""Two scored texts side by side, a row for each pair of tokens; JSON."""

from __future__ import annotations

from typing import Any, TextIO

from gptcli.types.difference import Change, Difference, Pair
from gptcli.types.score import TokenScore
from gptcli.ui.data.values import finite
from gptcli.ui.terminal.pieces import print_pieces
from gptcli.ui.terminal.tables import Cell, Column
from gptcli.ui.terminal.visible import visible
from gptcli.ui.views import source
from gptcli.ui.views.printing import fitted
from gptcli.ui.views.score import body_json, data_fields, exact_number, show_totals
from gptcli.ui.views.surprisal import Palette

_SIGNS: dict[Change, tuple[str, str]] = {
    "same": ("", ""),
    "changed": ("~", "yellow"),
    "removed": ("-", "red"),
    "added": ("+", "green"),
}
_COLUMNS = (
    Column(""),
    Column("a", shrink=True, least=4),
    Column("bits", right=True, keep=2),
    Column("b", shrink=True, least=4),
    Column("bits", right=True, keep=3),
    Column("b-a", right=True, keep=1),
)
_DATA_HEADS = ("change", "a", "a_id", "a_bits", "b", "b_id", "b_bits", "bits_difference")


def show(stream: TextIO, difference: Difference) -> None:
    """The alignment and the totals of each text; elsewhere than on a terminal, TSV alone."""
    if not stream.isatty():
        fitted(stream, [Column(head) for head in _DATA_HEADS], list(map(_data, difference.pairs)))
        return
    palette = Palette(stream)
    fitted(stream, _COLUMNS, [_row(pair, palette) for pair in difference.pairs])
    for name, score in (("a", difference.a), ("b", difference.b)):
        print_pieces(stream, [("\n", ""), (name, "bold")])
        show_totals(stream, score)


def _row(pair: Pair, palette: Palette) -> list[str | Cell]:
    sign, style = _SIGNS[pair.change]
    return [
        Cell(sign, style),
        Cell(_text(pair.a), style),
        palette.cell(pair.a),
        Cell(_text(pair.b), style),
        palette.cell(pair.b),
        "" if pair.bits is None else f"{pair.bits:+.2f}",
    ]


def _text(each: TokenScore | None) -> str:
    return "" if each is None else visible(each.token.bytes)


def _data(pair: Pair) -> list[str | Cell]:
    return [pair.change, *data_fields(pair.a), *data_fields(pair.b), exact_number(pair.bits)]


def as_json(difference: Difference, *, tokens: bool = True) -> dict[str, Any]:
    """Two scored texts and their alignment, whose rows hold indices into the tokens of each."""
    found: dict[str, Any] = {"object": "score.difference"} | source.fields(difference.a.source)
    for name, score in (("a", difference.a), ("b", difference.b)):
        body = body_json(score)
        found[name] = body if tokens else {k: v for k, v in body.items() if k != "tokens"}
    if tokens:
        rows, at = [], {"a": 0, "b": 0}
        for pair in difference.pairs:
            row: dict[str, Any] = {"change": pair.change}
            for name, side in (("a", pair.a), ("b", pair.b)):
                row[name] = None if side is None else at[name]
                at[name] += side is not None
            rows.append(row | {"bits_difference": finite(pair.bits)})
        found["pairs"] = rows
    return found
