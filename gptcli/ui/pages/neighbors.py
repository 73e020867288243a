"""Neighbours as a page, and distances layer by layer."""

from __future__ import annotations

from collections.abc import Iterator

from gptcli.types.neighbors import Drift, Neighborhood, Neighbors
from gptcli.ui.pages.page import meter, page, paragraph, piece, table, text
from gptcli.ui.terminal.visible import plainly, visible
from gptcli.ui.views.lens import name_of
from gptcli.ui.views.neighbors import notes, title_of
from gptcli.units import percent


def neighbors(found: Neighbors) -> str:
    """The page: charts of distances first, then a table for each word."""
    parts = [part for drift in found.drifts for part in _drift(drift)]
    parts += [part for each in found.found for part in _neighborhood(each)]
    return page("Neighbours in the space of embeddings", found.source, parts)


def _neighborhood(each: Neighborhood) -> Iterator[str]:
    yield f"<h2>{text(plainly(title_of(each)))}</h2>"
    for note in notes(each):
        yield paragraph(note, "quiet")
    rows = []
    for rank, near in enumerate(each.found, 1):
        bar = meter(near.cosine, f"{visible(near.token.bytes)}: cosine {near.cosine:.4f}")
        cells = [str(rank), piece(near.token), str(near.token.id), f"{near.cosine:.3f}", bar]
        rows.append(cells)
    yield table(["#", "token", "id", "cosine", ""], rows, numbers=(0, 2, 3))
    if each.says:
        said = ", ".join(f"{visible(token.bytes)} {percent(share)}" for token, share in each.says)
        yield paragraph(f"Read out here, it would say {said}.", "quiet")


def _drift(drift: Drift) -> Iterator[str]:
    one, other = map(plainly, drift.contexts)
    yield f"<h2>{text(plainly(drift.word))}: “{text(one)}” and “{text(other)}”</h2>"
    yield paragraph("How far apart the word's vectors are, 1 - cosine, layer by layer.", "quiet")
    top = max(*drift.distances, 1e-6)
    bars = []
    for layer, distance in enumerate(drift.distances, -1):
        where = "embedding" if layer < 0 else f"after layer {name_of(layer)}"
        tip = text(f"{where}: {distance:.4f}")
        height = f"{max(distance, 0.0) / top * 100:.2f}%"
        bars.append(
            f'<span tabindex="0" role="img" aria-label="{tip}" data-tip="{tip}"'
            f' style="height:{height}"></span>'
        )
    yield f'<div class="chart">{"".join(bars)}</div>'
    last = len(drift.distances) - 2
    ends = f"<span>embedding</span><span>largest: {top:.3f}</span><span>layer {last}</span>"
    yield f'<p class="quiet chart-ends">{ends}</p>'
