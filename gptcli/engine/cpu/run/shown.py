"""What a forward of the kernels shows a probe: memory for it, and the struct that points there."""

from __future__ import annotations

import ctypes as c
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.cpu.binding import calls
from gptcli.engine.cpu.run.codes import is_codes, keys_of_codes, rotated, values_of_codes
from gptcli.engine.cpu.run.key_groups import KEY_GROUP, keys_of
from gptcli.engine.model.mixers import Mixer, Recurrence
from gptcli.engine.model.spec import ModelSpec
from gptcli.engine.points import Point, features, is_there
from gptcli.engine.probe import Probe, Watching, of_row
from gptcli.engine.state.forward_state import ForwardState
from gptcli.formats.bfloat16 import as_float32
from gptcli.plain import dataclass

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


@dataclass(frozen=True)
class LookingOn:
    """A probe of a row, and which tokens of a forward it wants: from `token` on, at `positions`."""

    probe: Probe
    row: int
    token: int
    positions: range


def looking_on(
    watching: Watching, rows: NDArray[np.int32], positions: NDArray[np.int32], count: int
) -> list[LookingOn]:
    """Who wants tokens (n,) of a forward, which stand in these of `count` rows, and there.

    The tokens of a row stand together. Raises as `of_row`.
    """
    found, at = list[LookingOn](), 0
    for row in range(count):
        probe, tokens = of_row(watching, row, count), int(np.count_nonzero(rows == row))
        if tokens:
            start = int(positions[at])
            first = max(probe.positions.start, start)
            end = min(probe.positions.stop, start + tokens)
            if first < end:
                found.append(LookingOn(probe, row, at + first - start, range(first, end)))
        at += tokens
    return found


class Shown:
    """Arrays for what probes want of a forward.

    The forward fills them, where `struct` points to, None where nobody wants anything; `show` then
    hands them over.
    """

    def __init__(self, spec: ModelSpec, looking: Sequence[LookingOn]) -> None:
        self._spec, self._looking = spec, looking
        self._arrays: dict[tuple[Point, int], NDArray[np.float32]] = {}
        self._layers = (calls.LayerCopies * spec.layers)()
        self.struct: calls.Copies | None = None
        if not looking:
            return
        self._first = looking[0].token
        self._end = looking[-1].token + len(looking[-1].positions)
        self.struct = calls.Copies(self._first, self._end)
        self.struct.layer = c.addressof(self._layers)
        self.struct.embedding = self._address("embedding", -1)
        for index, layer in enumerate(self._layers):
            for point in _POINTS:
                if point not in _IN_STATE:
                    setattr(layer, point, self._address(point, index))

    def show(self, state: ForwardState) -> None:
        """Hand over what was filled, in the order of the forward; `state` has the keys."""
        order = [(point, layer) for layer in range(self._spec.layers) for point in _POINTS]
        for point, layer in [("embedding", -1), *order] if self._looking else ():
            if point in _IN_STATE:
                for each in self._looking:
                    if is_there(point, self._spec, layer) and each.probe.wants(point, layer):
                        origins = state.origins(self._spec.source(layer))
                        begin = origins[each.row] if origins else 0
                        numbers = self._kept(point, layer, state, each.row, begin)
                        each.probe(point, layer, numbers, begin)
            elif (point, layer) in self._arrays:
                array = self._arrays.pop((point, layer))
                for each in self._looking:
                    if each.probe.wants(point, layer):
                        at = each.token - self._first
                        own = array[None, at : at + len(each.positions)]
                        numbers = self._as_shown(point, layer, own, state)
                        each.probe(point, layer, numbers, each.positions.start)

    def _as_shown(
        self, point: Point, layer: int, array: NDArray[np.float32], state: ForwardState
    ) -> NDArray[np.float32]:
        """(1, t, …) as probes have it."""
        if point == "queries":
            array = array.swapaxes(1, 2)
            return (
                rotated(array) if is_codes(state.layers[self._spec.source(layer)].keys) else array
            )
        return np.sqrt(array.sum(axis=-1)) if point == "state" else array

    def _kept(
        self, point: Point, layer: int, state: ForwardState, row: int, begin: int
    ) -> NDArray[np.float32]:
        """All keys or values of a row so far that are still there, as they are kept."""
        source, length = self._spec.source(layer), state.lengths[row] - begin
        features, kept = self._spec.shapes[source].head_dim, state.layers[source]
        own = slice(row, row + 1)
        if point == "values":
            if is_codes(kept.values):
                return values_of_codes(kept.values[own], length, features)
            return as_float32(kept.values[own, :, :length])
        if is_codes(kept.keys):
            return keys_of_codes(kept.keys[own], length, features)
        if self._spec.latents is None:
            return keys_of(kept.keys[own], length)
        return as_float32(kept.keys[own, :, :length])

    def _address(self, point: Point, layer: int) -> Any:
        wanted = any(each.probe.wants(point, layer) for each in self._looking)
        if not wanted or not is_there(point, self._spec, layer):
            return None
        shape = self._shape(point, layer)
        array = np.empty((self._end - self._first, *shape), np.float32)
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
