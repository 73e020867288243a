"""An explanation as a picture (PNG), drawn with matplotlib where it is installed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gptcli.types.explain import Round
from gptcli.types.what_if import Parted
from gptcli.ui.terminal.visible import shortened, visible
from gptcli.ui.views.figure import Figure

#: Tokens that have a line of their own.
_LINES = 8


def explanation(prompt: str, rounds: Sequence[Round], parted: Parted | None = None) -> bytes:
    """For each round: what every block adds, and the probabilities at several temperatures.

    parted: below them, how far the streams of another prompt part, and what is expected then.
    """
    lines = len(rounds) + (parted is not None)
    drawn = Figure(11, 3.2 * lines + 0.6, lines, 2)
    if parted is not None:
        below = drawn.axes[-1]
        _parted(below[0], below[1], parted)
    for (left, right), each in zip(drawn.axes, rounds, strict=False):
        colours = {"attention": "C0", "state": "C2", "mlp": "C1", "told": "C3"}
        kinds = {block.name for block in each.blocks}
        # What is in attention's place has its place.
        order = [("attention", "state"), ("mlp",), ("told",)]
        bars = [names for names in order if kinds.intersection(names)]
        share = 0.8 / max(1, len(bars))
        for number, names in enumerate(bars):
            for name in [name for name in names if name in kinds]:
                blocks = [block for block in each.blocks if block.name == name]
                at = [block.layer + share * (number + 0.5) - 0.4 for block in blocks]
                norms = [block.norm for block in blocks]
                left.bar(at, norms, share, color=colours[name], label=name)
        left.set_xlabel("layer", fontsize=8)
        left.set_ylabel("length of the update", fontsize=8)
        left.legend(fontsize=7)
        candidates = each.distribution.candidates
        temperatures = each.distribution.temperatures
        width = 0.8 / len(temperatures)
        for number, (value, _) in enumerate(temperatures):
            places = [
                at + (number - len(temperatures) / 2) * width for at in range(len(candidates))
            ]
            shares = [one.at_temperatures[number] for one in candidates]
            right.bar(places, shares, width, label=f"T={value:g}", align="edge")
        shown = [shortened(visible(one.token.bytes), 12) for one in candidates]
        right.set_xticks(range(len(shown)), shown, fontsize=8)
        right.set_ylabel("probability", fontsize=8)
        right.set_title(f"drawn: {visible(each.drawn.token.bytes)}", fontsize=9)
        right.legend(fontsize=7)
    return drawn.png(prompt)


def _parted(left: Any, right: Any, parted: Parted) -> None:
    for each in parted.aligned[:_LINES]:
        values = [each.start, *each.cosines]
        name = shortened(visible(each.token.bytes), 12)
        left.plot(range(-1, len(values) - 1), values, label=f"{each.position} {name}")
    left.set_xlabel("layer, -1 before the first", fontsize=8)
    left.set_ylabel("cosine of both walks", fontsize=8)
    if parted.aligned:
        left.legend(fontsize=7)
    shown = [shortened(visible(each.token.bytes), 12) for each in parted.expected]
    sides = {
        "as it is": [each.probability for each in parted.expected],
        "with the word replaced": [each.other for each in parted.expected],
    }
    for number, (name, values) in enumerate(sides.items()):
        places = [at + (number - 1) * 0.4 for at in range(len(shown))]
        right.bar(places, values, 0.4, label=name, align="edge")
    right.set_xticks(range(len(shown)), shown, fontsize=8, rotation=45)
    right.set_ylabel("probability", fontsize=8)
    right.legend(fontsize=7)
