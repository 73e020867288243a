"""Where the arrays of a state are, as pointers that the kernels follow."""

from __future__ import annotations

import ctypes as c
from collections.abc import Iterator, Sequence
from operator import attrgetter, call, is_
from typing import Any
from weakref import ref

from gptcli.engine.cpu.binding import calls

_KEYS, _VALUES = attrgetter("keys"), attrgetter("values")
_INPUTS, _MEMORY = attrgetter("inputs"), attrgetter("memory")


class Placed:
    """Pointers to the arrays of the last call: to ask numpy costs more than to compare arrays.

    These are not kept alive: of a state that grows, the old ones are to go layer by layer.
    attends, recurrent: which layers have keys and values, and which have inputs and memories.
    """

    def __init__(
        self, layers: Sequence[Any], attends: Sequence[int], recurrent: Sequence[int]
    ) -> None:
        self._attends, self._recurrent = attends, recurrent
        self._count = len(layers)
        self._arrays = [list(map(ref, arrays)) for arrays in self._of(layers)]
        pointers = c.c_void_p * len(layers)
        self.kept = (calls.Kept * len(layers))()
        self.inputs, self.memory = pointers(), pointers()
        for at in self._attends:
            self.kept[at] = _kept(layers[at])
        for at in recurrent:
            self.inputs[at] = layers[at].inputs.ctypes.data
            self.memory[at] = layers[at].memory.ctypes.data

    def holds(self, layers: Sequence[Any]) -> bool:
        """Whether those of the layers are still the same arrays."""
        return len(layers) == self._count and all(
            all(map(is_, map(call, kept), now))
            for kept, now in zip(self._arrays, self._of(layers), strict=True)
        )

    def _of(self, layers: Sequence[Any]) -> Iterator[Iterator[Any]]:
        attends = layers
        if self._recurrent:
            attends = [layers[at] for at in self._attends]
            states = [layers[at] for at in self._recurrent]
            yield map(_INPUTS, states)
            yield map(_MEMORY, states)
        yield map(_KEYS, attends)
        yield map(_VALUES, attends)
        yield (each.origins for each in attends if each.origins is not None)


def _kept(layer: Any) -> calls.Kept:
    keys, values, origins = layer.keys, layer.values, layer.origins
    first = None if origins is None else origins.ctypes.data
    batch, _, capacity, _ = keys.shape
    return calls.Kept(keys.ctypes.data, values.ctypes.data, first, batch, capacity, int(layer.near))
