"""What parts add to a logit, as a picture."""

from __future__ import annotations

from gptcli.types.parts import LogitParts
from gptcli.ui.terminal.heat import signed_root
from gptcli.ui.views.figure import Figure
from gptcli.ui.views.parts import by_head, largest_of, name_of, title_of

#: Parts that stand as bars beside the map, the strongest.
_BARS = 24


def parts(found: LogitParts) -> bytes:
    """Heads as a map, layers down, and the strongest parts as bars."""
    rows = by_head(found)
    strongest = found.strongest[:_BARS]
    height = min(max(0.22 * len(rows), 0.2 * len(strongest)) + 1.6, 40)
    drawn = Figure(13 if rows else 7, height, 1, 2 if rows else 1)
    if rows:
        axes, largest = drawn.axes[0, 0], largest_of(found)
        wide = max(map(len, rows.values()))
        picture = [
            [signed_root(each / largest) for each in row] + [float("nan")] * (wide - len(row))
            for row in rows.values()
        ]
        axes.imshow(picture, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
        axes.set_yticks(range(len(rows)), [str(layer) for layer in rows], fontsize=7)
        axes.set_xlabel("head", fontsize=8)
        axes.set_ylabel("layer", fontsize=8)
        axes.set_title("heads (the colour is the root)", fontsize=9)
    axes = drawn.axes[0, -1]
    colours = ["C3" if each.adds > 0 else "C0" for each in strongest]
    places = range(len(strongest))
    axes.barh(places, [each.adds for each in strongest], color=colours)
    axes.set_yticks(places, [name_of(each) for each in strongest], fontsize=7)
    axes.invert_yaxis()
    axes.axvline(0, color="black", linewidth=0.5)
    axes.set_title("the strongest parts", fontsize=9)
    return drawn.png(title_of(found))
