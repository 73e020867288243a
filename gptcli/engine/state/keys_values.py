"""Keys and values of every token so far in one layer: the state of attention.

Of numpy or torch, as its owner computes; numpy holds bfloat16 as the uint16 of its bits.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.arrays import Array, indices, namespace, rounded_up, zeros
from gptcli.engine.model.layer_shape import LayerShape


class KeysValues:
    """See LayerState: two arrays of shape (batch, kv_heads, capacity, head_dim).

    Where values are features of keys, the second has none; where numbers have one byte, both have
    codes in place of features (`LayerShape.widths`), which only the kernels append.

    Rows of unequal length are possible; rows of one length take a faster way through `append`.
    like: an array of the kind, the dtype and on the device that keys and values are to have.
    group: the positions whose keys are kept together, and moved whole.
    """

    rewinds = steady = True
    #: See WindowedKeysValues: None where all positions are there.
    origins: NDArray[np.int32] | None = None
    #: See PagedLayer.
    near = False

    def __init__(self, shape: LayerShape, batch: int, like: Array, *, group: int = 1) -> None:
        self._group = group
        key, value = shape.widths(like.itemsize)
        self.keys: Array = zeros((batch, shape.kv_heads, 0, key), like)
        self.values: Array = zeros((batch, shape.kv_heads, 0, value), like)

    @property
    def bytes(self) -> int:
        """See LayerState."""
        return int(self.keys.nbytes + self.values.nbytes)

    @property
    def by_position(self) -> tuple[Array, ...]:
        """See LayerState."""
        return self.keys, self.values

    def append(self, key: Array, value: Array, lengths: Sequence[int]) -> tuple[Array, Array]:
        """Store (batch, kv_heads, time, head_dim) after each row's end; give all keys and values.

        What an interrupted forward stored is written over by the next one.
        """
        time = key.shape[2]
        start, end = min(lengths), max(lengths) + time
        if end == start + time:
            self.keys[:, :, start:end] = key
            self.values[:, :, start:end] = value
        else:
            xp = namespace(key)
            steps = xp.arange(time, dtype=xp.int64, device=key.device)
            self.place(key, value, indices(lengths, key)[:, None] + steps)
        return self.keys[:, :, :end], self.values[:, :, :end]

    def place(self, key: Array, value: Array, at: Array, rows: Array | None = None) -> None:
        """Store (batch, kv_heads, time, head_dim) at positions (batch, time).

        rows: the numbers of the rows, (batch, 1), where somebody has them.
        """
        if rows is None:
            xp = namespace(key)
            rows = xp.arange(key.shape[0], dtype=xp.int64, device=key.device)[:, None]
        # Indexing with the two index arrays apart puts them first: (batch, time, heads, dim).
        self.keys[rows, :, at] = key.swapaxes(1, 2)
        self.values[rows, :, at] = value.swapaxes(1, 2)

    def reserve(self, used: int, capacity: int) -> None:
        """See LayerState. An interruption leaves it usable, and perhaps half grown."""
        kept = rounded_up(used, self._group)
        self.keys = _grown(self.keys, kept, capacity)
        self.values = _grown(self.values, kept, capacity)

    def can_truncate(self, before: Sequence[int], after: Sequence[int]) -> bool:
        """See LayerState: always."""
        return True

    def truncate(self, before: Sequence[int], after: Sequence[int]) -> None:
        """See LayerState. What stands behind a row's end is never seen, and written over."""

    def picked(self, rows: Array) -> Self:
        """See LayerState."""
        xp, other = namespace(self.keys), copy.copy(self)
        other.keys = xp.take(self.keys, rows, axis=0)
        other.values = xp.take(self.values, rows, axis=0)
        return other

    def apart(self, rows: Array) -> None:
        """See LayerState: all of it goes back."""

    def restored(self, apart: Self) -> Self:
        """See LayerState."""
        return apart


def _grown(old: Array, kept: int, capacity: int) -> Array:
    if old.shape[2] >= capacity:
        return old
    # Zeros, not what memory held: a masked NaN would still poison the sums of a short row.
    grown = zeros((*old.shape[:2], capacity, old.shape[3]), old)
    grown[:, :, :kept] = old[:, :, :kept]
    return grown
