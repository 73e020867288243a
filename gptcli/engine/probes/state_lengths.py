"""How long the states are that layers carry in place of attention, token after token."""

from __future__ import annotations

from collections.abc import Collection

from gptcli.engine.arrays import Array, namespace
from gptcli.engine.model.spec import ModelSpec
from gptcli.engine.points import Point


class StateLengths:
    """A probe that keeps them at some positions of one row. layers: None for all with a state."""

    def __init__(
        self, spec: ModelSpec, positions: range, layers: Collection[int] | None = None
    ) -> None:
        self.positions = positions
        self._layers = spec.carrying if layers is None else layers
        self._parts: dict[int, list[Array]] = {}

    def wants(self, point: Point, layer: int) -> bool:
        """See Probe."""
        return point == "state" and layer in self._layers

    def __call__(self, point: Point, layer: int, array: Array, start: int) -> None:
        """See Probe."""
        first = max(self.positions.start - start, 0)
        end = min(self.positions.stop - start, array.shape[1])
        if self.wants(point, layer) and first < end:
            part = namespace(array).asarray(array[0, first:end], copy=True)
            self._parts.setdefault(layer, []).append(part)

    def of(self, layer: int) -> Array:
        """Those of a layer, (positions, memories), float32."""
        parts = self._parts[layer]
        return namespace(parts[0]).concat(parts)
