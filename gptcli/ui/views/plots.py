"""Views as pictures (PNG), drawn with matplotlib where it is installed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gptcli.types.attention import Attention
from gptcli.types.lens import Lens
from gptcli.types.neighbors import Neighbors
from gptcli.types.shapes import Shapes
from gptcli.ui.terminal.visible import plainly, shortened, visible
from gptcli.ui.views.attention_words import name_of as map_name
from gptcli.ui.views.effects_plot import ablation, patching
from gptcli.ui.views.explain_plot import explanation
from gptcli.ui.views.figure import Figure, labels_of
from gptcli.ui.views.lens import name_of
from gptcli.ui.views.neighbors import title_of
from gptcli.ui.views.part_plots import parts
from gptcli.ui.views.states import title
from gptcli.ui.views.why_plot import why
from gptcli.units import total_length

__all__ = [
    "ablation",
    "attention",
    "explanation",
    "lens",
    "neighbors",
    "parts",
    "patching",
    "shapes",
    "why",
]

_BLUES = "Blues"


def attention(found: Attention, token: int | None = None) -> bytes:
    """Many maps small, one in full, or a token's row as bars."""
    labels = labels_of(found.first, [visible(each.bytes) for each in found.tokens])
    if not found.maps:
        return _states(found, labels)
    if token is not None:
        each = found.maps[0]
        drawn = Figure(8, 0.26 * (token + 1) + 1.2)
        axes = drawn.axes[0, 0]
        axes.barh(labels[: token + 1], each.weights[token][: token + 1], color="C0")
        axes.invert_yaxis()
        axes.set_xlabel("attention weight")
        return drawn.png(f"where {labels[token]} looks: {map_name(found, each)}")
    if len(found.maps) == 1:
        side = min(0.28 * len(labels) + 2.5, 20)
        drawn = Figure(side + 1, side)
        axes = drawn.axes[0, 0]
        image = axes.imshow(found.maps[0].weights, cmap=_BLUES, vmin=0, vmax=1, norm=None)
        axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=7)
        axes.set_yticks(range(len(labels)), labels, fontsize=7)
        drawn.figure.colorbar(image, ax=axes, shrink=0.7, label="attention weight")
        return drawn.png(map_name(found, found.maps[0]))
    layers = sorted({each.layer for each in found.maps if each.layer is not None})
    heads = sorted({each.head for each in found.maps if each.head is not None})
    below = bool(found.states)
    height = (len(layers) + 2 * below) * 0.9 + 1
    drawn = Figure(max(len(heads) * 0.9 + 1, 6 * below), height, len(layers) + below, len(heads))
    if below:
        _below(drawn, found, labels)
    for each in found.maps:
        if each.layer is None or each.head is None:
            continue
        row, column = layers.index(each.layer), heads.index(each.head)
        axes = drawn.axes[row, column]
        axes.imshow([[w**0.5 for w in line] for line in each.weights], cmap=_BLUES, vmin=0, vmax=1)
        axes.set_xticks([])
        axes.set_yticks([])
        if row == 0:
            axes.set_title(f"{each.head}", fontsize=7)
        if column == 0:
            axes.set_ylabel(f"{each.layer}", fontsize=7)
    return drawn.png("attention: layers down, heads across (colour: the root of the weight)")


def _below(drawn: Figure, found: Attention, labels: Sequence[str]) -> None:
    """Lines for layers without attention, in the last row."""
    places = drawn.axes[-1, 0].get_gridspec()
    for axes in drawn.axes[-1]:
        axes.remove()
    _lengths(drawn.figure.add_subplot(places[-1, :]), found, labels)


def _lengths(axes: Any, found: Attention, labels: Sequence[str]) -> None:
    """A line for each state; where there is one state, for each of its memories."""
    for each in found.states:
        lines = list(zip(*each.lengths, strict=True))
        names = [f"memory {at}" for at in each.memories]
        if len(found.states) > 1 or each.memories == (None,):
            lines = [tuple(map(total_length, each.lengths))]
            names = [f"layer {each.layer}"]
        for name, line in zip(names, lines, strict=True):
            axes.plot(range(len(labels)), line, marker=".", label=name)
    axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=6)
    axes.set_ylabel("length of the state", fontsize=7)
    axes.tick_params(axis="y", labelsize=6)
    axes.legend(fontsize=6)


def _states(found: Attention, labels: Sequence[str]) -> bytes:
    drawn = Figure(min(0.28 * len(labels) + 4, 20), 4)
    _lengths(drawn.axes[0, 0], found, labels)
    return drawn.png(title(found, found.states[0]))


def lens(found: Lens) -> bytes:
    """The grid, with the likeliest token of each place."""
    labels = labels_of(found.first, [visible(token.bytes) for token in found.tokens])
    names = [name_of(layer) for layer in range(-1, found.layers)]
    drawn = Figure(min(0.75 * len(labels) + 2, 40), min(0.24 * len(names) + 1.8, 40))
    axes = drawn.axes[0, 0]
    shares = [[each.top[0][1] for each in row] for row in found.grid]
    image = axes.imshow(shares, cmap=_BLUES, vmin=0, vmax=1, aspect="auto")
    for layer, row in enumerate(found.grid):
        for at, each in enumerate(row):
            token, share = each.top[0]
            axes.text(
                at,
                layer,
                shortened(visible(token.bytes), 9),
                ha="center",
                va="center",
                fontsize=6,
                color="white" if share > 0.5 else "black",
                weight="bold" if found.settled[at] == layer - 1 else "normal",
            )
    axes.set_xticks(range(len(labels)), labels, rotation=60, ha="right", fontsize=7)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_ylabel("after layer")
    drawn.figure.colorbar(image, ax=axes, shrink=0.6, label="probability")
    kind = "logit" if found.request.tuned is None else "tuned"
    said = "what the stream would say (bold: the answer first is rank 1)"
    return drawn.png(f"{kind} lens: {said}")


def neighbors(found: Neighbors) -> bytes:
    """Cosines as bars, a picture for each word; distances as lines."""
    count = len(found.found)
    total = count + bool(found.drifts)
    drawn = Figure(7, 0.24 * sum(len(each.found) + 3 for each in found.found) + 3, total, 1)
    for axes, each in zip(drawn.axes[:, 0], found.found, strict=False):
        # Two tokens may look alike, so places are numbers.
        places = range(len(each.found))
        axes.barh(places, [near.cosine for near in each.found], color="C0")
        axes.set_yticks(
            places, [shortened(visible(near.token.bytes), 20) for near in each.found], fontsize=8
        )
        axes.invert_yaxis()
        axes.set_title(shortened(plainly(title_of(each)), 70), fontsize=9)
        axes.set_xlabel("cosine", fontsize=8)
    for drift in found.drifts:
        axes = drawn.axes[-1, 0]
        label = shortened(plainly(" / ".join(drift.contexts)), 60)
        axes.plot(range(-1, len(drift.distances) - 1), drift.distances, marker=".", label=label)
        axes.set_title(f"{plainly(drift.word)}: how far apart", fontsize=9)
        axes.set_xlabel("after layer (-1: the embedding)", fontsize=8)
        axes.set_ylabel("1 - cosine", fontsize=8)
        axes.legend(fontsize=7)
    return drawn.png("nearest tokens by cosine")


def shapes(found: Shapes) -> bytes:
    """How the parameters are shared out over the parts."""
    drawn = Figure(8, 0.26 * len(found.parts) + 1.4)
    axes = drawn.axes[0, 0]
    axes.barh([part.name for part in found.parts], [part.parameters for part in found.parts])
    axes.invert_yaxis()
    axes.set_xlabel("parameters")
    axes.tick_params(labelsize=7)
    return drawn.png(f"{found.source.model}: {found.parameters:,} parameters")
