"""Activations of one prompt in the run of another, as a page."""

from __future__ import annotations

import math

from gptcli.types.patch import Direction, Patched, Patching
from gptcli.ui.pages.page import Spot, grid, legend, page, paragraph, table, text
from gptcli.ui.terminal.visible import plainly
from gptcli.ui.views.patch import map_of, notes, place_of, title_of, told
from gptcli.ui.views.patch_data import by_strength
from gptcli.units import percent

#: Rows of a table.
_MOST = 50


def patching(found: Patching) -> str:
    """The page: a map and a table for each direction."""
    asked = found.asked
    parts = [
        paragraph(plainly(f"clean: {asked.request.clean}"), "prompt"),
        paragraph(plainly(f"corrupt: {asked.request.corrupt}"), "prompt"),
        *(paragraph(line) for line in told(found)),
    ]
    for direction in asked.request.directions:
        if found.of(direction):
            parts += [f"<h2>{text(title_of(found, direction))}</h2>", *_direction(found, direction)]
    parts += [paragraph(line, "quiet") for line in notes(found)]
    return page("Activation patching: clean and corrupt", found.source, parts)


def _direction(found: Patching, direction: Direction) -> list[str]:
    heads, lines = map_of(found, direction)
    columns = zip(*heads, strict=True)
    over = ["<br>".join(f"<bdi>{text(each)}</bdi>" for each in column) for column in columns]
    rows = [(name, [_spot(found, name, each) for each in row]) for name, row in lines]
    ends = ("as in the other run", "farther away from it")
    order = by_strength(found, direction)[:_MOST]
    table_heads = ["layer", "position", "clean", "corrupt", "normalized", "probability"]
    if found.asked.request.at == "head":
        table_heads.insert(1, "head")
    cells = [
        [
            *(f"<bdi>{text(cell)}</bdi>" for cell in place_of(found, place)),
            _share(found, each),
            text(percent(math.exp(each.odds.target))),
        ]
        for place, each in order
    ]
    last = len(table_heads) - 1
    return [
        legend(*ends, "falling"),
        grid(title_of(found, direction), over, rows, kind="signed"),
        table(table_heads, cells, numbers=(0, last - 1, last)),
    ]


def _share(found: Patching, each: Patched) -> str:
    share = found.share(each)
    return "" if share is None else f"{share:.3f}"


def _spot(found: Patching, name: str, each: Patched | None) -> Spot:
    moved = None if each is None else found.moved(each)
    share = None if each is None else found.share(each)
    if each is None or moved is None or share is None:
        return Spot("", 0.0, f"layer {name}")
    place = " ".join(place_of(found, found.asked.places[each.place]))
    tip = [f"layer {place}", f"normalized {share:.4f}", f"value {each.odds.value:+.4f}"]
    tip.append(f"probability {percent(math.exp(each.odds.target))}")
    return Spot(f"{share:.2f}", max(-1.0, min(moved, 1.0)), "\n".join(tip))
