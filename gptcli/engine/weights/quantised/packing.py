"""Whole numbers of a few bits, side by side in bytes, and rows cut into what is read at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Numbers read at a time: arrays on the way are small enough to stay in the CPU's cache, and for
#: the allocator to use anew. Four times as many take three times as long.
_CHUNK = 1 << 15
#: Numbers whose bits are whole bytes, however many bits each has.
_EIGHT = 8


def unpack(rows: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """(n, m) → (n, m · its bits / `bits`): the numbers of `bits` bits, 1 to 8, in each row.

    A row is a stream of bits, as bytes or little-endian words; each number begins where the one
    before ends, and its lowest bit comes first. Bits at the end that are no whole number go.
    """
    stream = np.ascontiguousarray(rows).view(np.uint8)
    count, size = stream.shape
    if bits == _EIGHT:
        return stream
    if bits == 4:
        out = np.empty((count, 2 * size), dtype=np.uint8)
        np.bitwise_and(stream, 15, out=out[:, ::2])
        np.right_shift(stream, 4, out=out[:, 1::2])
        return out
    # Eight numbers are as many bytes as each has bits: they fit into a word of 64 bits.
    eights = -(-size // bits)
    padded = np.zeros((count, eights, _EIGHT), dtype=np.uint8)
    whole = size // bits
    padded[:, :whole, :bits] = stream[:, : whole * bits].reshape(count, whole, bits)
    if eights > whole:
        padded[:, whole, : size - whole * bits] = stream[:, whole * bits :]
    words = padded.view("<u8")  # (n, eights, 1)
    shifts = np.arange(0, _EIGHT * bits, bits, dtype=np.uint64)
    numbers = ((words >> shifts) & np.uint64((1 << bits) - 1)).astype(np.uint8)
    return numbers.reshape(count, -1)[:, : size * _EIGHT // bits]


def slices(rows: int, columns: int, multiple: int = 1) -> Iterator[slice]:
    """Cuts a matrix into as many whole multiples of rows as are well computed at a time."""
    step = max(_CHUNK // (columns * multiple), 1) * multiple
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def widened(rows: slice, multiple: int) -> tuple[slice, slice]:
    """The least slice of whole multiples that holds some rows, and where they are in it."""
    start = rows.start // multiple * multiple
    return (
        slice(start, -(-rows.stop // multiple) * multiple),
        slice(rows.start - start, rows.stop - start),
    )
