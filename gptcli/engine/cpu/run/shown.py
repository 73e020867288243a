"""What a forward of the kernels shows a probe: memory for it, and the struct that points there."""

from __future__ import annotations

import ctypes as c
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.cpu.binding import calls
from gptcli.engine.cpu.run.codes import is_codes, keys_of_codes, rotated, values_of_codes
from gptcli.engine.cpu.run.key_groups import KEY_GROUP, keys_of
from gptcli.engine.model.mixers import Mixer, Recurrence
from gptcli.engine.model.spec import ModelSpec
from gptcli.engine.points import Point, features, is_there
from gptcli.engine.probe import Probe
from gptcli.engine.state.forward_state import ForwardState
from gptcli.formats.bfloat16 import as_float32

#: Where a layer's points are in calls.LayerCopies, but those that are in the state.
_POINTS: tuple[Point, ...] = (
    *("queries", "keys", "values", "state", "heads"),
    *("attention", "shares", "mlp", "told", "stream"),
)
_IN_STATE: tuple[Point, ...] = ("keys", "values")
#: As in source/recurrence.h.
_BLOCK_VALUES = 32


def _parts_of_state(mixer: Mixer) -> tuple[int, int]:
    """Memories, and of how many parts of each the squares are summed up by themselves."""
    if isinstance(mixer, Recurrence):
        return mixer.heads, -(-mixer.value_dim // _BLOCK_VALUES)
    return 1, -(-mixer.inner // KEY_GROUP)


class Shown:
    """Arrays for what a probe wants of a forward over the tokens at `positions` of one row.

    The forward fills them, where `struct` points to, None where it wants none of these tokens;
    `show` then hands them over.
    """

    def __init__(self, spec: ModelSpec, probe: Probe, positions: range) -> None:
        self._spec, self._probe = spec, probe
        first = max(probe.positions.start, positions.start)
        end = min(probe.positions.stop, positions.stop)
        self._positions = range(first, end)
        self._arrays: dict[tuple[Point, int], NDArray[np.float32]] = {}
        self._layers = (calls.LayerCopies * spec.layers)()
        self.struct: calls.Copies | None = None
        if not self._positions:
            return
        self.struct = calls.Copies(first - positions.start, end - positions.start)
        self.struct.layer = c.addressof(self._layers)
        self.struct.embedding = self._address("embedding", -1)
        for index, layer in enumerate(self._layers):
            for point in _POINTS:
                if point not in _IN_STATE:
                    setattr(layer, point, self._address(point, index))

    def show(self, state: ForwardState) -> None:
        """Hand over what was filled, in the order of the forward; `state` has the keys."""
        order = [(point, layer) for layer in range(self._spec.layers) for point in _POINTS]
        for point, layer in [("embedding", -1), *order] if self._positions else ():
            if point in _IN_STATE:
                if is_there(point, self._spec, layer) and self._probe.wants(point, layer):
                    (origin,) = state.origins(self._spec.source(layer)) or (0,)
                    self._probe(point, layer, self._kept(point, layer, state, origin), origin)
            elif (point, layer) in self._arrays:
                array = self._arrays.pop((point, layer))[None]
                if point == "queries":
                    array = array.swapaxes(1, 2)
                    if is_codes(state.layers[self._spec.source(layer)].keys):
                        array = rotated(array)
                elif point == "state":
                    array = np.sqrt(array.sum(axis=-1))
                self._probe(point, layer, array, self._positions.start)

    def _kept(
        self, point: Point, layer: int, state: ForwardState, origin: int
    ) -> NDArray[np.float32]:
        """All keys or values so far that are still there, as they are kept."""
        source, length = self._spec.source(layer), state.lengths[0] - origin
        features, kept = self._spec.shapes[source].head_dim, state.layers[source]
        if point == "values":
            if is_codes(kept.values):
                return values_of_codes(kept.values, length, features)
            return as_float32(kept.values[:, :, :length])
        if is_codes(kept.keys):
            return keys_of_codes(kept.keys, length, features)
        if self._spec.latents is None:
            return keys_of(kept.keys, length)
        return as_float32(kept.keys[:, :, :length])

    def _address(self, point: Point, layer: int) -> Any:
        if not self._probe.wants(point, layer) or not is_there(point, self._spec, layer):
            return None
        shape = self._shape(point, layer)
        array = np.empty((len(self._positions), *shape), np.float32)
        self._arrays[point, layer] = array
        return array.ctypes.data

    def _shape(self, point: Point, layer: int) -> tuple[int, ...]:
        """Of what is shown of one token."""
        if point == "queries":
            shape = self._spec.shapes[layer]
            return shape.heads, shape.head_dim
        mixer = None if layer < 0 else self._spec.each_layer[layer].mixer
        if point == "state" and mixer is not None:
            return _parts_of_state(mixer)
        return (features(point, self._spec, layer),)
