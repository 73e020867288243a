"""Attention as a page: all heads as small maps, and the one that is chosen in full; states."""

from __future__ import annotations

from typing import Any

from gptcli.types.attention import Attention, CarriedState
from gptcli.ui.pages.page import Spot, grid, legend, page, paragraph, piece
from gptcli.ui.terminal.visible import plainly, visible
from gptcli.ui.views import attention_words as words
from gptcli.ui.views import states

#: Weights are stored as whole parts of this, since the page holds every map; the script knows it.
_SCALE = 10_000


def attention(found: Attention) -> str:
    """The page. The script draws the maps, from data that the page holds."""
    parts = [paragraph(plainly(found.request.prompt), "prompt")]
    parts += [paragraph(note, "quiet") for note in words.notes(found)]
    if found.maps:
        parts += _maps(found)
    if found.states:
        parts.append("<h2>States in place of attention</h2>")
    for each in found.states:
        parts += [paragraph(states.title(found, each)), _state(found, each)]
    # Without maps the script has nothing to draw.
    data = _data(found) if found.maps else None
    return page("Attention: who looks at whom", found.source, parts, data=data)


def _maps(found: Attention) -> list[str]:
    parts = [
        '<h2 id="map-title"></h2>',
        paragraph(
            "A row is a token that looks, a column one that is looked at; numbers are percent, and"
            " a row shares 100% out. The arrow keys go from cell to cell.",
            "quiet",
        ),
        legend("0%", "100% (the colour is the root)"),
        '<div class="scroll"><table id="map" class="grid square" role="grid"'
        ' aria-labelledby="map-title"><thead></thead><tbody></tbody></table></div>',
    ]
    if len(found.maps) > 1:
        parts += [
            "<h2>All heads</h2>",
            paragraph(
                "Queries go down, keys go right. Choose one to see it in full above.", "quiet"
            ),
            '<div id="mixes" class="controls"></div><div id="overview" class="overview"></div>',
        ]
    if found.first:
        before = f"… stands for the {found.first} tokens before position {found.first}."
        parts.append(paragraph(before, "quiet"))
    return parts


def _state(found: Attention, each: CarriedState) -> str:
    """A line for each memory, a column for each token."""
    largest = max(max(row) for row in each.lengths) or 1.0
    rows = []
    for at, memory in enumerate(each.memories):
        spots = [
            Spot(f"{row[at]:.3g}", row[at] / largest, f"behind position {place}: {row[at]:.6g}")
            for place, row in enumerate(each.lengths, found.first)
        ]
        rows.append(("all" if memory is None else str(memory), spots))
    return grid(states.title(found, each), list(map(piece, found.tokens)), rows)


def _data(found: Attention) -> dict[str, Any]:
    return {
        "view": "attention",
        "tokens": [visible(token.bytes) for token in found.tokens],
        "first": found.first,
        "group": found.group,
        "maps": [
            {
                "layer": each.layer,
                "head": each.head,
                "name": words.name_of(found, each),
                "before": [round(share * _SCALE) for share in each.outside],
                "rows": [
                    [round(weight * _SCALE) for weight in row[: query + 1]]
                    for query, row in enumerate(each.weights)
                ],
            }
            for each in found.maps
        ],
    }
