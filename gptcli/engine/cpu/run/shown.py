"""What a forward of the kernels shows a probe: memory for it, and the struct that points there."""

from __future__ import annotations

import ctypes as c
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.cpu.binding import calls
from gptcli.engine.cpu.run.codes import is_codes, keys_of_codes, rotated
from gptcli.engine.cpu.run.key_groups import KEY_GROUP, keys_of
from gptcli.engine.model.mixers import Mixer, Recurrence
from gptcli.engine.model.spec import LayerSpec, ModelSpec
from gptcli.engine.probe import Point, Probe
from gptcli.engine.state.forward_state import ForwardState
from gptcli.formats.bfloat16 import as_float32

#: Where a layer's points are in calls.LayerCopies, and that keys are not: they are in the state.
_POINTS: tuple[Point, ...] = ("queries", "keys", "state", "attention", "mlp", "told", "stream")
#: As in source/recurrence.h.
_BLOCK_VALUES = 32


def _there(point: Point, spec: ModelSpec, this: LayerSpec) -> bool:
    """Whether a layer has such a point."""
    match point:
        case "told":
            return spec.layer_inputs is not None
        case "queries":
            return this.attends
        case "state":
            return this.mixer is not None
        case "attention":
            return this.mixes
        case "mlp":
            return this.thinks
    return True


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
                if point != "keys":
                    setattr(layer, point, self._address(point, index))

    def show(self, state: ForwardState) -> None:
        """Hand over what was filled, in the order of the forward; `state` has the keys."""
        order = [(point, layer) for layer in range(self._spec.layers) for point in _POINTS]
        for point, layer in [("embedding", -1), *order] if self._positions else ():
            if point == "keys":
                if not self._spec.each_layer[layer].attends:
                    continue
                if self._probe.wants(point, layer):
                    source, length = self._spec.source(layer), state.lengths[0]
                    keys = state.layers[source].keys
                    if is_codes(keys):
                        keys = keys_of_codes(keys, length, self._spec.shapes[source].head_dim)
                    elif self._spec.latents is None:
                        keys = keys_of(keys, length)
                    else:
                        keys = as_float32(keys[:, :, :length])
                    self._probe(point, layer, keys, 0)
            elif (point, layer) in self._arrays:
                array = self._arrays.pop((point, layer))[None]
                if point == "queries":
                    array = array.swapaxes(1, 2)
                    if is_codes(state.layers[self._spec.source(layer)].keys):
                        array = rotated(array)
                elif point == "state":
                    array = np.sqrt(array.sum(axis=-1))
                self._probe(point, layer, array, self._positions.start)

    def _address(self, point: Point, layer: int) -> Any:
        if not self._probe.wants(point, layer):
            return None
        features: tuple[int, ...] = (self._spec.width,)
        this = None if layer < 0 else self._spec.each_layer[layer]
        if this is not None and not _there(point, self._spec, this):
            return None
        if point == "queries":
            shape = self._spec.shapes[layer]
            features = shape.heads, shape.head_dim
        elif point == "state" and this is not None and this.mixer is not None:
            features = _parts_of_state(this.mixer)
        array = np.empty((len(self._positions), *features), np.float32)
        self._arrays[point, layer] = array
        return array.ctypes.data
