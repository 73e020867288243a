"""The stream behind the last layer, and nothing else: a long text has much of the rest."""

from __future__ import annotations

from gptcli.engine.arrays import Array, namespace
from gptcli.engine.points import Point


class LastStream:
    """A probe that keeps it at some positions of one row."""

    def __init__(self, positions: range, layers: int) -> None:
        self.positions = positions
        self._layer = layers - 1
        self._parts: list[Array] = []

    def wants(self, point: Point, layer: int) -> bool:
        """See Probe."""
        return point == "stream" and layer == self._layer

    def __call__(self, point: Point, layer: int, array: Array, start: int) -> None:
        """See Probe."""
        first = max(self.positions.start - start, 0)
        end = min(self.positions.stop - start, array.shape[1])
        if self.wants(point, layer) and first < end:
            self._parts.append(namespace(array).asarray(array[0, first:end], copy=True))

    @property
    def found(self) -> Array:
        """(positions, width), before the final norm."""
        return namespace(self._parts[0]).concat(self._parts)
