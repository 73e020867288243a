"""Control vectors: what was made, how long the directions are, what they say."""

from __future__ import annotations

from collections.abc import Iterator
from math import hypot
from pathlib import Path
from typing import Any, TextIO

from gptcli.types.steering import Steering, SteeringRead, SteeringRequest
from gptcli.types.token import Token
from gptcli.ui.data.values import number, valued_json
from gptcli.ui.data.writer import DataWriter, Row
from gptcli.ui.terminal.bars import bar
from gptcli.ui.terminal.tables import Cell, Column
from gptcli.ui.terminal.visible import visible
from gptcli.ui.terminal.writer import width_of
from gptcli.ui.views import source
from gptcli.ui.views.printing import caption, fitted
from gptcli.units import counted


def line(found: Steering, path: Path) -> str:
    """What was written, in words."""
    what = " and ".join(map(str, found.rows))
    of = f"{what} texts" if len(found.rows) > 1 else counted(found.rows[0], "difference")
    directions = counted(len(found.directions), "direction")
    width = len(found.directions[0].vector)
    return f"wrote {path}: {directions} of {width} numbers, of {of}; {source.where(found.source)}"


def made_as_json(request: SteeringRequest, found: Steering, path: Path) -> dict[str, Any]:
    """What was written, and of what."""
    return {
        "object": "steering",
        **source.fields(found.source),
        "file": str(path),
        "model_hint": found.hint,
        "method": request.method,
        "position": request.position,
        "rows": list(found.rows),
        "width": len(found.directions[0].vector),
        "directions": [
            {"layer": each.layer, "norm": hypot(*each.vector)} for each in found.directions
        ],
    }


def show(stream: TextIO, found: SteeringRead) -> None:
    """On a terminal a row for each direction; else one for each token that one says."""
    if not stream.isatty():
        DataWriter(stream).rows(rows(found))
        return
    longest = max(each.norm for each in found.read) or 1.0
    cells = min(max(width_of(stream) // 8, 4), 20)
    columns = [
        Column("layer", right=True, style="dim"),
        Column("length", right=True, style="cyan"),
        Column("", keep=1, style="cyan"),
        Column("says", shrink=True, least=12, style="bold"),
        Column("its opposite says", keep=2, shrink=True, least=12),
    ]
    table: list[list[str | Cell]] = [
        [
            str(each.layer),
            f"{each.norm:.4g}",
            bar(each.norm / longest, cells),
            _said(each.towards),
            _said(each.away),
        ]
        for each in found.read
    ]
    fitted(stream, columns, table)
    caption(
        stream,
        "each direction as if it were the stream, read out through final norm and head: the"
        " likeliest tokens, the first the likeliest",
    )
    caption(stream, source.where(found.source))


def rows(found: SteeringRead) -> Iterator[Row]:
    """Cells under heads; side is + for the direction and - for its opposite."""
    yield ("layer", "norm", "side", "rank", "token", "id", "probability")
    for each in found.read:
        for side, says in (("+", each.towards), ("-", each.away)):
            for rank, (token, chance) in enumerate(says, 1):
                cells = (str(each.layer), number(each.norm), side, str(rank))
                yield (*cells, token.bytes, str(token.id), number(chance))


def as_json(found: SteeringRead, path: Path, hint: str) -> dict[str, Any]:
    """Every direction, and what it and its opposite say."""
    return {
        "object": "steering.directions",
        **source.fields(found.source),
        "file": str(path),
        "model_hint": hint,
        "directions": [
            {
                "layer": each.layer,
                "norm": each.norm,
                "says": valued_json(each.towards, "probability"),
                "opposite_says": valued_json(each.away, "probability"),
            }
            for each in found.read
        ],
    }


def _said(tokens: tuple[tuple[Token, float], ...]) -> str:
    return " ".join(visible(token.bytes) for token, _ in tokens)
