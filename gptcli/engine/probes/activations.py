"""One point of the pass in some layers, token by token: what is written down for other programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.arrays import Array, float32, host
from gptcli.engine.model.spec import ModelSpec
from gptcli.engine.points import Point, features, is_there
from gptcli.engine.runner import CHUNK, Runner

Floats = NDArray[np.float32]


def layers_with(spec: ModelSpec, point: Point) -> tuple[int, ...]:
    """The layers that have a point, -1 before the first: not all have an attention or an MLP."""
    return tuple(layer for layer in range(-1, spec.layers) if is_there(point, spec, layer))


def activations(
    runner: Runner, ids: Sequence[int], point: Point, layers: Sequence[int], *, first: int = 0
) -> Iterator[Floats]:
    """What a point of the layers has at the positions of a text from `first` on.

    Parts of (at most CHUNK, layers, numbers), in order; all of the layers have as many. The text
    runs in the parts in which any prompt does, so that the numbers are its own and memory does not
    grow with it.
    """
    state = runner.new_state()
    for start in range(0, len(ids), CHUNK):
        positions = range(max(start, first), min(start + CHUNK, len(ids)))
        if not positions:
            runner.prefill([ids[start : start + CHUNK]], state)
            continue
        probe = _Point(positions, point, layers, features(point, runner.spec, layers[0]))
        runner.prefill([ids[start : start + CHUNK]], state, probe=probe)
        yield probe.found


class _Point:
    """A probe that copies one point of some layers at some positions of one row."""

    def __init__(self, positions: range, point: Point, layers: Sequence[int], width: int) -> None:
        self.positions = positions
        self._point = point
        self._places = {layer: place for place, layer in enumerate(layers)}
        self.found = np.zeros((len(positions), len(layers), width), np.float32)

    def wants(self, point: Point, layer: int) -> bool:
        """See Probe."""
        return point == self._point and layer in self._places

    def __call__(self, point: Point, layer: int, array: Array, start: int) -> None:
        """See Probe."""
        first = max(self.positions.start, start)
        end = min(self.positions.stop, start + array.shape[1])
        if self.wants(point, layer) and first < end:
            rows = slice(first - self.positions.start, end - self.positions.start)
            found = host(float32(array[0, first - start : end - start]))
            self.found[rows, self._places[layer]] = found
