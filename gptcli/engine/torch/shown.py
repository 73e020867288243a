"""What a torch pass shows probes: to each the numbers of its own row. Shapes: b batch, t time."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from gptcli.engine.points import Point
from gptcli.engine.probe import Watching, of_row

_ALL_SO_FAR: tuple[Point, ...] = ("keys", "values")


class Shown:
    """Who looks on while rows run. starts, counts: where each stands, and its tokens of this pass;
    what is behind them is padding.
    """

    def __init__(self, watching: Watching, starts: Sequence[int], counts: Sequence[int]) -> None:
        rows = enumerate(zip(starts, counts, strict=True))
        self._rows = [
            (of_row(watching, row, len(counts)), row, start, count)
            for row, (start, count) in rows
            if count
        ]

    def wants(self, point: Point, layer: int) -> bool:
        """Whether anybody has a use for this."""
        return any(probe.wants(point, layer) for probe, *_ in self._rows)

    def __call__(
        self, point: Point, layer: int, numbers: Tensor, origins: Sequence[int] | None = None
    ) -> None:
        """Show numbers, (b, t, …), of queries (b, heads, t, …), of keys and values of all t that
        are there, from each row's origin on.
        """
        for probe, row, start, count in self._rows:
            own = numbers[row : row + 1]
            if point in _ALL_SO_FAR:
                begin = origins[row] if origins else 0
                probe(point, layer, own[:, :, : start + count - begin], begin)
            elif point == "queries":
                probe(point, layer, own[:, :, :count], start)
            else:
                probe(point, layer, own[:, :count], start)
