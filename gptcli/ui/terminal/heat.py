"""Numbers as colours: cells of a heat map, where there are colours, else shades of blocks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import TextIO

from gptcli.ui.terminal import paint
from gptcli.ui.terminal.pieces import few_colours, has_colour

#: Of the 256 colours of terminals, for 0 to 1; the background is always set, so that they look the
#: same on dark and on light ones. From one place on, text on them is black.
_RAMP = (235, 23, 29, 35, 71, 107, 143, 179, 221)
_BLACK_FROM = 3
#: From -1 over 0 to 1.
_TWO_WAYS = (117, 75, 32, 25, 236, 94, 136, 172, 214)
_MIDDLE = len(_TWO_WAYS) // 2
_SHADES = " ░▒▓█"


def step(ramp: Sequence[int], share: float) -> int:
    """The colour for a share from 0 to 1; what is more than nothing never looks like nothing."""
    last = len(ramp) - 1
    place = round(min(max(share, 0.0), 1.0) * last)
    return ramp[max(place, 1) if share > 0.02 else place]


def brightened(share: float) -> float:
    """The root: small shares differ in colour too, where one large one would outshine them."""
    return math.sqrt(max(share, 0.0))


def shares_of(values: Sequence[float]) -> list[float]:
    """A vector's features from -1 to 1, on a scale that 95% of them stay within.

    Not on that of the largest, which may be a hundred times larger than the others.
    """
    ordered = sorted(map(abs, values))
    scale = ordered[int(len(ordered) * 0.95)] or ordered[-1] or 1.0
    return [min(max(value / scale, -1.0), 1.0) for value in values]


class Heat:
    """Cells of a heat map for one stream."""

    def __init__(self, stream: TextIO) -> None:
        self._any = has_colour(stream)
        self.colour = self._any and not few_colours(stream)

    def cell(self, share: float, width: int, text: str = "") -> tuple[str, str]:
        """(text, style) of a cell of so many cells; `text` must fit into it."""
        if not self.colour:
            mark = _SHADES[min(round(min(share, 1.0) * 4), 4)]
            return (text or mark * width).rjust(width), ""
        colour = step(_RAMP, share)
        front = "black" if _RAMP.index(colour) >= _BLACK_FROM else "white"
        return text.rjust(width), f"{front} on color({colour})"

    def tint(self, share: float) -> str:
        """The style of a text for a share from -1 to 1; none near 0, or where there are none."""
        place = _place(share)
        if not self._any or place == _MIDDLE:
            return ""
        if not self.colour:
            return "black on yellow" if place > _MIDDLE else "black on cyan"
        front = "white" if abs(place - _MIDDLE) == 1 else "black"
        return f"{front} on color({_TWO_WAYS[place]})"

    def small(self, rows: Sequence[Sequence[float]]) -> list[paint.Text]:
        """A picture of shares, two rows of it in each line."""
        return self._halves([[step(_RAMP, each) for each in row] for row in rows], rows)

    def strip(self, values: Sequence[float], room: int, most: int = 3) -> list[paint.Text]:
        """The features of a vector in order, at most `most` lines of `room` cells, 0 in the middle.

        Where there are too many, each pixel is the largest of a few.
        """
        per = -(-len(values) // (room * most * 2))
        pooled = [
            max(values[at : at + per], key=abs, default=0.0) for at in range(0, len(values), per)
        ]
        shares = shares_of(pooled)
        rows = [shares[at : at + room] for at in range(0, len(shares), room)]
        colours = [[_both_ways(each) for each in row] for row in rows]
        return self._halves(colours, [[abs(each) for each in row] for row in rows])

    def legend(self, marks: Sequence[float], room: int) -> Iterator[tuple[str, str]]:
        """What colours mean: each mark, as a share, in its colour."""
        for mark in marks:
            text = f" {mark:.0%} "
            if len(text) > room:
                return
            room -= len(text)
            yield self.cell(brightened(mark), len(text), text)

    def _halves(
        self, colours: Sequence[Sequence[int]], shares: Sequence[Sequence[float]]
    ) -> list[paint.Text]:
        lines = []
        for top in range(0, len(colours), 2):
            line = paint.Text(no_wrap=True, end="")
            for at in range(len(colours[top])):
                below = top + 1 < len(colours) and at < len(colours[top + 1])
                if self.colour:
                    style = f"color({colours[top][at]})"
                    if below:
                        style += f" on color({colours[top + 1][at]})"
                    line.append("▀", style)
                else:
                    both = [shares[top][at], *([shares[top + 1][at]] if below else [])]
                    line.append(self.cell(sum(both) / len(both), 1)[0])
            lines.append(line)
        return lines


def _both_ways(share: float) -> int:
    return _TWO_WAYS[_place(share)]


def _place(share: float) -> int:
    return round((share + 1) / 2 * (len(_TWO_WAYS) - 1))


def pooled(rows: Sequence[Sequence[float]], side: int) -> list[list[float]]:
    """A square picture made smaller, to at most `side` rows and columns, by the largest of each."""
    count = len(rows)
    if count <= side:
        return [list(row) for row in rows]
    edges = [round(place * count / side) for place in range(side + 1)]
    spans = list(itertools.pairwise(edges))
    return [[max(max(row[c:d]) for row in rows[a:b]) for c, d in spans] for a, b in spans]
