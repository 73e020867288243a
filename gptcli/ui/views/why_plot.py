"""On which parts of a prompt an answer hangs, as a picture."""

from __future__ import annotations

from gptcli.types.why import Why
from gptcli.ui.terminal.visible import shortened, visible
from gptcli.ui.views.figure import Figure, labels_of
from gptcli.ui.views.why import text_of
from gptcli.ui.views.why_data import by_strength

#: Bars of a picture, and the sides of a square, as many as can be read.
_MOST = 80


def why(found: Why) -> bytes:
    """Bars of the strongest changes in the order of the text; beside them a square of pairs."""
    asked, changes = found.asked, found.changes
    order = sorted(each.parts[0] for each in by_strength(found)[:_MOST])
    parts, pairs = [asked.parts[at] for at in order], bool(found.pairs)
    drawn = Figure(8 + 6 * pairs, 0.26 * len(order) + 1.6 + 2 * pairs, 1, 1 + pairs)
    axes = drawn.axes[0, 0]
    values = [changes[at] for at in order]
    # Two parts may look alike, so places are numbers.
    axes.barh(range(len(order)), values, color=["C1" if each < 0 else "C0" for each in values])
    names = [f"{each.first} {shortened(visible(each.bytes), 20)}" for each in parts]
    axes.set_yticks(range(len(order)), names, fontsize=7)
    axes.invert_yaxis()
    of = "log-probability" if asked.versus is None else "difference of log-probabilities"
    axes.set_xlabel(f"change of the {of} without it")
    if pairs:
        _square(drawn, found)
    return drawn.png(f"what {text_of(asked.target)} hangs on")


def _square(drawn: Figure, found: Why) -> None:
    axes, interactions = drawn.axes[0, 1], found.interactions
    count = min(len(found.asked.parts), _MOST)
    rows = [
        [interactions.get((min(i, j), max(i, j)), float("nan")) for j in range(count)]
        for i in range(count)
    ]
    largest = max((abs(each) for each in interactions.values()), default=0.0) or 1.0
    image = axes.imshow(rows, cmap="PuOr", vmin=-largest, vmax=largest)
    names = labels_of(0, [visible(each.bytes) for each in found.asked.parts[:count]])
    axes.set_xticks(range(count), names, rotation=90, fontsize=6)
    axes.set_yticks(range(count), names, fontsize=6)
    drawn.figure.colorbar(image, ax=axes, shrink=0.7, label="interaction")
