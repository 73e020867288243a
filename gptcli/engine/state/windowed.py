"""Keys and values of the last tokens only, for a layer whose attention sees no further.

What is held begins at an origin, row by row, and moves on when it is full: what can still be seen
is copied to the beginning of new memory, since places may share the old, see `apart`.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.arrays import Array, host, rounded_up, zeros
from gptcli.engine.host.memory import LEAST_TOKENS
from gptcli.engine.model.layer_shape import LayerShape
from gptcli.engine.model.sight import Sight
from gptcli.engine.state.keys_values import KeysValues


class Block(KeysValues):
    """Keys and values of positions from `origins` on, (batch,), multiples of STRETCH."""

    origins: NDArray[np.int32]

    def __init__(self, shape: LayerShape, batch: int, like: Array, *, group: int = 1) -> None:
        super().__init__(shape, batch, like, group=group)
        self.origins = np.zeros(batch, np.int32)

    def picked(self, rows: Array) -> Self:
        """See LayerState."""
        other = super().picked(rows)
        other.origins = self.origins[host(rows)]
        return other

    def longest(self, lengths: Sequence[int]) -> int:
        """How many positions are taken of rows so long, the most of any."""
        return max(n - int(o) for n, o in zip(lengths, self.origins.tolist(), strict=True))

    def empty(self, batch: int) -> Self:
        """One of no capacity for so many rows."""
        other = copy.copy(self)
        other.keys, other.values = (_none(each, batch) for each in self.by_position)
        other.origins = np.zeros(batch, np.int32)
        return other

    def moved(self, lengths: Sequence[int], origins: Sequence[int], capacity: int) -> Self:
        """What stands from later origins on, in new memory."""
        other = self.empty(len(lengths))
        other.reserve(0, capacity)
        other.origins[:] = origins
        for row, (length, old, new) in enumerate(
            zip(lengths, self.origins.tolist(), origins, strict=True)
        ):
            count = rounded_up(max(length - new, 0), self._group)
            part = slice(new - old, new - old + count)
            other.keys[row, :, :count] = self.keys[row, :, part]
            other.values[row, :, :count] = self.values[row, :, part]
        return other


class WindowedKeysValues:
    """See LayerState. sight: how far back the layer sees, which has a bound.

    It can go back where what is seen from there is still held; see `Sight.origin`.
    """

    rewinds = near = False
    steady = True

    def __init__(
        self, shape: LayerShape, batch: int, like: Array, sight: Sight, *, group: int = 1
    ) -> None:
        self.sight, self._group = sight, group
        self.part = Block(shape, batch, like, group=group)

    @property
    def keys(self) -> Array:
        """See KeysValues: those from each row's origin on."""
        return self.part.keys

    @property
    def values(self) -> Array:
        """The same of values."""
        return self.part.values

    @property
    def origins(self) -> NDArray[np.int32]:
        """The position that stands first of each row, (batch,)."""
        return self.part.origins

    @property
    def bytes(self) -> int:
        """See LayerState."""
        return self.part.bytes

    @property
    def by_position(self) -> tuple[Array, ...]:
        """See LayerState: nothing, since not all positions are there."""
        return ()

    def append(self, key: Array, value: Array, lengths: Sequence[int]) -> tuple[Array, Array]:
        """See KeysValues: all that is held comes back, from the origins on."""
        here = [n - o for n, o in zip(lengths, self.origins.tolist(), strict=True)]
        return self.part.append(key, value, here)

    def reserve(self, used: int, capacity: int) -> None:
        """See LayerState: `hold` makes room."""

    def hold(self, lengths: Sequence[int], count: int) -> None:
        """Make room for `count` more tokens in each row, where need be by letting go of others.

        At any moment either all is as it was, or done.
        """
        part, most = self.part, self.sight.most
        assert most is not None
        used = part.longest(lengths)
        if used + count <= part.keys.shape[2]:
            return
        if used + count <= most:
            part.reserve(used, min(rounded_up(used + count, LEAST_TOKENS), most))
            return
        before = part.origins.tolist()
        after = [max(self.sight.origin(n), o) for n, o in zip(lengths, before, strict=True)]
        needed = max(n - o for n, o in zip(lengths, after, strict=True)) + count
        self.part = part.moved(lengths, after, rounded_up(max(needed, most), self._group))

    def free(self, lengths: Sequence[int]) -> int:
        """For how many more tokens of each row there is room."""
        return int(self.part.keys.shape[2]) - self.part.longest(lengths)

    def can_truncate(self, before: Sequence[int], after: Sequence[int]) -> bool:
        """See LayerState."""
        rows = zip(before, after, self.origins.tolist(), strict=True)
        return all(n in (old, 0) or self.sight.first(n) >= origin for old, n, origin in rows)

    def truncate(self, before: Sequence[int], after: Sequence[int]) -> None:
        """See LayerState. What stands behind a row's end is never seen, and written over."""
        for row, length in enumerate(after):
            if length == 0:
                self.part.origins[row] = 0

    def picked(self, rows: Array) -> Self:
        """See LayerState."""
        other = copy.copy(self)
        other.part = self.part.picked(rows)
        return other

    def apart(self, rows: Array) -> Self:
        """See LayerState: what is held now, in the memory where it stands.

        It stays there: behind the ends of the rows alone is written before what is held moves.
        """
        return copy.copy(self)

    def restored(self, apart: Self) -> Self:
        """See LayerState."""
        return apart

    def kept(self, length: int) -> list[Array]:
        """What a row of that length, the only one, has to have to go on: strips of positions."""
        first = self._first(length)
        start, end = first - int(self.origins[0]), self._end(length) - int(self.origins[0])
        arrays = [each for each in self.part.by_position if each.shape[-1]]
        return [strip[start:end] for array in arrays for strip in array[0]]

    def blank(self, length: int) -> Self:
        """One of a row that has room for what `kept` gives, to be filled there."""
        other, first = copy.copy(self), self._first(length)
        other.part = self.part.empty(1)
        other.part.reserve(0, self._end(length) - first)
        other.part.origins[0] = first
        return other

    def kept_bytes(self, length: int) -> int:
        """How many bytes `kept` gives."""
        keys, values = self.part.by_position
        each = sum(array.shape[1] * array.shape[3] * array.itemsize for array in (keys, values))
        return int(each * (self._end(length) - self._first(length)))

    def _first(self, length: int) -> int:
        return self.sight.begin(length)

    def _end(self, length: int) -> int:
        return rounded_up(length, self._group)


def _none(array: Array, batch: int) -> Array:
    return zeros((batch, array.shape[1], 0, array.shape[3]), array)
