"""Effects of parts switched off and of activations put elsewhere, as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gptcli.types.ablate import Ablation
from gptcli.types.patch import Patching
from gptcli.ui.terminal.visible import shortened
from gptcli.ui.views.ablate import grid_of, label_of, scale
from gptcli.ui.views.ablate_data import by_strength
from gptcli.ui.views.figure import Figure
from gptcli.ui.views.odds import text_of
from gptcli.ui.views.patch import map_of, title_of

#: Bars that can be read.
_BARS = 25
_UNKNOWN = float("nan")


def ablation(found: Ablation) -> bytes:
    """A map where there is one, and bars of the strongest."""
    grid, order = grid_of(found), by_strength(found)[:_BARS]
    heads, lines = grid if grid is not None else ([], [])
    height = max(0.24 * max(len(lines), len(order)) + 1.8, 3)
    drawn = Figure(6 + bool(grid) * min(0.34 * len(heads) + 2, 30), height, 1, 1 + bool(grid))
    if grid is not None:
        largest = scale(found)
        rows = [[_UNKNOWN if each is None else each for each in row] for _, row in lines]
        axes = drawn.axes[0, 0]
        image = axes.imshow(rows, cmap="PuOr", vmin=-largest, vmax=largest, aspect="auto")
        _ticks(axes, heads, [name for name, _ in lines])
        drawn.figure.colorbar(image, ax=axes, shrink=0.7, label="change")
    axes = drawn.axes[0, -1]
    changes = [found.change(each) for each in order]
    axes.barh(range(len(order)), changes, color=["C1" if each < 0 else "C0" for each in changes])
    names = [shortened(label_of(found, each.step), 24) for each in order]
    axes.set_yticks(range(len(order)), names, fontsize=7)
    axes.invert_yaxis()
    of = "log-probability" if found.asked.versus is None else "difference of log-probabilities"
    axes.set_xlabel(f"change of the {of} while it is off", fontsize=8)
    return drawn.png(f"what {text_of(found.asked.target)} hangs on")


def patching(found: Patching) -> bytes:
    """A map for each direction that is known."""
    directions = [each for each in found.asked.request.directions if found.of(each)]
    maps = [map_of(found, each) for each in directions]
    across = max((len(heads[-1]) for heads, _ in maps), default=1)
    down = max((len(lines) for _, lines in maps), default=1)
    width = min(0.5 * across + 3, 30) * max(len(maps), 1)
    drawn = Figure(width, 0.24 * down + 2.2, 1, max(len(maps), 1))
    for axes, direction, (heads, lines) in zip(drawn.axes[0], directions, maps, strict=False):
        shares = [[None if each is None else found.share(each) for each in row] for _, row in lines]
        rows = [[_UNKNOWN if each is None else each for each in row] for row in shares]
        image = axes.imshow(rows, cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
        columns = zip(*heads, strict=True)
        names = ["\n".join(shortened(each, 12) for each in pair) for pair in columns]
        _ticks(axes, names, [name for name, _ in lines])
        axes.set_title(title_of(found, direction), fontsize=7)
        drawn.figure.colorbar(image, ax=axes, shrink=0.7, label="0: corrupt, 1: clean")
    return drawn.png(f"{text_of(found.asked.target)}: activation patching")


def _ticks(axes: Any, heads: Sequence[str], names: Sequence[str]) -> None:
    axes.set_xticks(range(len(heads)), [shortened(each, 26) for each in heads], fontsize=7)
    axes.tick_params(axis="x", rotation=90 if max(map(len, heads), default=0) > 3 else 0)
    axes.set_yticks(range(len(names)), names, fontsize=7)
