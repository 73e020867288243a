"""Where the arrays of a state are, as pointers that the kernels follow."""

from __future__ import annotations

import ctypes as c
from collections.abc import Iterator, Sequence
from operator import attrgetter, call, is_
from typing import Any
from weakref import ref

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
        self.keys, self.values = pointers(), pointers()
        self.inputs, self.memory = pointers(), pointers()
        for at in self._attends:
            self.keys[at] = layers[at].keys.ctypes.data
            self.values[at] = layers[at].values.ctypes.data
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
