"""Attention as a page: all heads as small maps, and the one that is chosen in full."""

from __future__ import annotations

from gptcli.types.attention import Attention
from gptcli.ui.pages.page import legend, page, paragraph
from gptcli.ui.terminal.visible import plainly, visible
from gptcli.ui.views import attention as words

#: Weights are stored as whole parts of this, since the page holds every map; the script knows it.
_SCALE = 10_000


def attention(found: Attention) -> str:
    """The page. The script draws the maps, from data that the page holds."""
    many = len(found.maps) > 1
    parts = [paragraph(plainly(found.request.prompt), "prompt")]
    parts += [paragraph(note, "quiet") for note in words.notes(found)]
    parts += [
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
    if many:
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
    data = {
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
    return page("Attention: who looks at whom", found.source, parts, data=data)
