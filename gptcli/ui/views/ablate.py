"""What is left while parts of a model are off: a heat map and a table; rows; JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TextIO

from gptcli.types.ablate import Ablation
from gptcli.types.model_part import ModelPart
from gptcli.types.token import Source
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal.tables import Cell, Column
from gptcli.ui.terminal.visible import visible
from gptcli.ui.terminal.writer import TerminalWriter
from gptcli.ui.views import odds
from gptcli.ui.views.ablate_data import as_json, by_strength, name_of, rows
from gptcli.ui.views.heat_map import HeatMap, signed
from gptcli.ui.views.printing import caption, fitted
from gptcli.ui.views.source import where
from gptcli.units import counted

__all__ = ["as_json", "grid_of", "notes", "scale", "show", "told"]

#: Rows of a map: their names, and a value for each column, None where there is none.
Grid = tuple[list[str], list[tuple[str, list[float | None]]]]


def show(stream: TextIO, found: Ablation, most: int) -> None:
    """On a terminal what is asked, a map, and the strongest so many; else a row for each step."""
    if not stream.isatty():
        DataWriter(stream).rows(rows(found))
        return
    writer = TerminalWriter(stream)
    for line in told(found):
        writer.paragraph(line, style="bold")
    writer.line()
    grid = grid_of(found)
    if grid is not None:
        heads, lines = grid
        largest = scale(found)
        corner = "layer" if len(lines) > 1 else ""
        HeatMap(corner, [heads], lines, signed, lambda change: share_of(change, largest)).draw(
            stream
        )
        writer.line()
    _table(stream, found, most)
    for line in notes(found):
        caption(stream, line)
    caption(stream, where(found.source))


def told(found: Ablation) -> Iterator[str]:
    """What is asked about, in words."""
    asked = found.asked
    yield from odds.told(asked)
    if asked.whole is not None:
        before = odds.chance(asked.whole.target)
        yield f"with {name_of(asked.always)} off; with nothing off, {before}"
    if found.partial:
        yield f"partial: {len(found.found)} of {asked.count} were computed"


def notes(found: Ablation) -> Iterator[str]:
    """What a reader should know beside the numbers."""
    asked, off = found.asked, found.asked.request.off
    of = "the difference" if asked.versus is not None else "the log-probability"
    yield (
        f"change: what becomes of {of}, in nats, while this is off; below 0,"
        f" {odds.text_of(asked.target)} hangs on it"
    )
    kinds = {part.kind for step in asked.steps for part in (*step, *asked.always)}
    if "expert" in kinds:
        yield "an expert that is off has the share 0: nothing is put in its place"
    if kinds - {"expert"}:
        yield {
            "zero": "off: what it would add is 0",
            "mean": "off: in its place is its mean over a reference text"
            f" of {counted(asked.reference_tokens, 'token')}",
            "resample": "off: in its place is what it does at tokens of a reference text of"
            f" {counted(asked.reference_tokens, 'token')}, drawn with seed {off.seed}",
        }[off.put]
    yield from precision_note(asked.source)


def precision_note(source: Source) -> Iterator[str]:
    """What the careful should know of numbers that are rounded."""
    if source.dtype not in (None, "float32"):
        yield f"small changes may be of {source.dtype}'s rounding; --dtype float32 has less of it"


def scale(found: Ablation) -> float:
    """The largest change, that others are shares of."""
    changes = (abs(found.change(each)) for each in found.found)
    return max((each for each in changes if math.isfinite(each)), default=0.0) or 1.0


def share_of(change: float, largest: float) -> float:
    """A change's colour: above 0 where the target hangs on what was off."""
    return max(-1.0, min(-change / largest, 1.0)) if math.isfinite(change) else 1.0


def grid_of(found: Ablation) -> Grid | None:
    """Layers down, heads or experts across; a line of layers or positions where they have none.

    None where single parts were named.
    """
    asked, changes = found.asked, found.changes
    kind = asked.request.each
    if kind is None:
        return None
    parts = [part for step in asked.steps for part in step]
    if kind == "position":
        heads = [visible(asked.tokens[part.index or 0].bytes) for part in parts]
        return heads, [(kind, [changes.get(part) for part in parts])]
    if kind not in ("head", "expert"):
        return [str(part.layer) for part in parts], [(kind, [changes.get(p) for p in parts])]
    count = 1 + max(part.index or 0 for part in parts)
    layers = sorted({part.layer for part in parts if part.layer is not None})
    lines = [
        (str(layer), [changes.get(ModelPart(kind, layer, at)) for at in range(count)])
        for layer in layers
    ]
    return [str(at) for at in range(count)], lines


def label_of(found: Ablation, step: int) -> str:
    """What is off in a step, a position with its token."""
    parts = found.asked.steps[step]
    position = parts[0].index if parts[0].kind == "position" and len(parts) == 1 else None
    token = "" if position is None else f" {visible(found.asked.tokens[position].bytes)}"
    return name_of(parts) + token


def _table(stream: TextIO, found: Ablation, most: int) -> None:
    columns = [
        Column("off", shrink=True, least=8),
        Column("change", right=True),
        Column("", keep=1),
        Column("p without", right=True, keep=4),
        *([Column("versus", right=True, keep=3)] if found.asked.versus is not None else []),
    ]
    order, largest = by_strength(found), scale(found)
    table: list[list[str | Cell]] = []
    for each in order[:most]:
        change = found.change(each)
        style = odds.style_of(change)
        blocks = odds.blocks(stream, abs(change) / largest)
        cells = [Cell(f"{change:+.3f}", style), Cell(blocks, style)]
        table.append([label_of(found, each.step), *cells, *odds.percents(each.odds)])
    fitted(stream, columns, table)
    if len(order) > most:
        caption(stream, f"the {most} strongest of {len(order)}; -k shows more")
