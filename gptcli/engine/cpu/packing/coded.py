"""Weights in codes → rows of the blocks that the kernels keep, without a change of any number.

Which blocks, source/kinds/affine.h, float8.h and nvfp4.h say, and ggml-common.h for MXFP4.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.cpu.binding.abi import Form, Kind
from gptcli.engine.cpu.packing.memory import Bytes
from gptcli.engine.weights.quantised.coded import Affine, Coded, Float8, Mxfp4, Nvfp4
from gptcli.plain import dataclass

#: By bits that the kernels have: columns that may share a scale, the most first.
_AFFINE = {
    4: {128: Kind.AFFINE4_128, 64: Kind.AFFINE4_64, 32: Kind.AFFINE4_32},
    5: {64: Kind.AFFINE5_64},
    6: {64: Kind.AFFINE6_64},
    8: {128: Kind.AFFINE8_128, 64: Kind.AFFINE8_64, 32: Kind.AFFINE8_32},
}
_SIZES = {kind: size for sizes in _AFFINE.values() for size, kind in sizes.items()}
#: Columns that share a scale of float8, and numbers of a block of NVFP4.
_FLOAT8, _NVFP4 = 128, 64
#: What rows of activations are padded to: blocks may not reach beyond.
_PADDED = 64


def kind_of(weight: Coded) -> Kind | None:
    """In which kind a weight's numbers stay what they are, None where there is none."""
    columns = weight.shape[1]
    if isinstance(weight, Nvfp4):
        return Kind.NVFP4
    if isinstance(weight, Mxfp4):
        return Kind.MXFP4
    if isinstance(weight, Float8):
        return Kind.FLOAT8 if _divides(_FLOAT8, weight.group, columns) else None
    if not isinstance(weight, Affine) or not _whole(weight):
        return None
    for bits in (4, 5, 6, 8):
        for size, kind in _AFFINE[bits].items():
            fits = size <= _PADDED or columns % size == 0
            if weight.bits <= bits and fits and _divides(size, weight.group, columns):
                return kind
    return None


def order_of(weight: Coded) -> NDArray[np.int32] | None:
    """The columns by group, where those of a group are not side by side."""
    if not isinstance(weight, Affine) or weight.groups is None:
        return None
    return np.argsort(weight.groups, kind="stable").astype(np.int32)


@dataclass(frozen=True)
class CodedRows:
    """Some rows of a weight in codes, as a parameter; form: the blocks that keep its numbers.

    rows: which, (n,). Sliced, it gives them in float32. release: gives back the pages of what was
    read before, so that memory does not grow with the weight.
    """

    weight: Coded
    rows: NDArray[np.intp]
    form: Form | None
    release: Callable[[], None]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, as numbers."""
        return len(self.rows), self.weight.shape[1]

    @property
    def scale(self) -> float:
        """What all numbers are to be multiplied with beside their blocks' scales."""
        if not isinstance(self.weight, Nvfp4):
            return 1.0
        one = np.float32(1)
        return float(one / self.weight.factor if self.weight.divided else self.weight.factor)

    @property
    def order(self) -> NDArray[np.int32] | None:
        """Which column each column of the blocks is, None for the same."""
        return order_of(self.weight)

    def __getitem__(self, some: slice) -> NDArray[np.float32]:
        """Some rows, dequantised."""
        self.release()
        hull, inside = _hull(self.rows[some])
        return self.weight.numbers(hull)[inside]

    def blocks(self, some: slice) -> Bytes:
        """Some rows as blocks, (rows, bytes), their columns in `order`."""
        self.release()
        hull, inside = _hull(self.rows[some])
        if isinstance(self.weight, Affine) and self.form is not None:
            return _affine_blocks(self.weight, hull, inside, self.order, _SIZES[self.form])
        if isinstance(self.weight, Float8):
            return _float8_blocks(self.weight, hull, inside)
        if isinstance(self.weight, (Nvfp4, Mxfp4)):
            read = self.weight.rows(hull)
            pair = (_NVFP4, 16) if isinstance(self.weight, Nvfp4) else (32, 32)
            return _float4_blocks(read.codes[inside], read.scales[inside], *pair)
        raise ValueError("no blocks keep its numbers")


def _divides(size: int, group: int, columns: int) -> bool:
    """Whether a group is whole blocks, or all columns are one."""
    return group % size == 0 or group >= columns


def _whole(weight: Affine) -> bool:
    """Whether groups, sorted, begin at multiples of their size: all but the last are full."""
    if weight.groups is None:
        return True
    counts = np.bincount(weight.groups)
    return bool((counts[:-1] == weight.group).all() and counts[-1] <= weight.group)


def _hull(rows: NDArray[np.intp]) -> tuple[slice, NDArray[np.intp] | slice]:
    """The least slice with all these rows, and where they are in it."""
    first, end = int(rows.min()), int(rows.max()) + 1
    whole = end - first == len(rows) and bool((np.diff(rows) == 1).all())
    return slice(first, end), slice(None) if whole else rows - first


def _affine_blocks(
    weight: Affine,
    hull: slice,
    inside: NDArray[np.intp] | slice,
    order: NDArray[np.int32] | None,
    size: int,
) -> Bytes:
    read, columns = weight.rows(hull), weight.shape[1]
    codes, scales, zeros = read.codes[inside], read.scales[inside], read.zeros[inside]
    minimums = -(scales * zeros)
    if read.minimums is not None:
        minimums += read.minimums[inside]
    count = -(-columns // size)
    of_block = np.arange(count) * size // weight.group
    out = np.zeros((len(codes), count, 8 + size), dtype=np.uint8)
    out[:, :, :4] = _as_bytes(scales[:, of_block])
    out[:, :, 4:8] = _as_bytes(minimums[:, of_block])
    _fill(out, 8, codes if order is None else codes[:, order])
    return out.reshape(len(codes), -1)


def _float8_blocks(weight: Float8, hull: slice, inside: NDArray[np.intp] | slice) -> Bytes:
    read, columns = weight.rows(hull), weight.shape[1]
    codes, scales = read.codes[inside], read.scales[inside]
    count = -(-columns // _FLOAT8)
    of_block = np.arange(count) * _FLOAT8 // weight.group
    out = np.zeros((len(codes), count, 4 + _FLOAT8), dtype=np.uint8)
    out[:, :, :4] = _as_bytes(scales[:, of_block])
    _fill(out, 4, codes)
    return out.reshape(len(codes), -1)


def _float4_blocks(codes: Bytes, scales: Bytes, numbers: int, group: int) -> Bytes:
    """ggml's: the scales, then for each group bytes of which each has numbers i and i + half."""
    rows, columns = codes.shape
    count, scales_of = -(-columns // numbers), numbers // group
    padded = np.zeros((rows, count * numbers), dtype=np.uint8)
    padded[:, :columns] = codes
    halves = padded.reshape(rows, count, scales_of, 2, group // 2)
    out = np.zeros((rows, count, scales_of + numbers // 2), dtype=np.uint8)
    heads = np.zeros((rows, count * scales_of), dtype=np.uint8)
    heads[:, : scales.shape[1]] = scales
    out[:, :, :scales_of] = heads.reshape(rows, count, scales_of)
    pairs = halves[:, :, :, 0] | halves[:, :, :, 1] << 4
    out[:, :, scales_of:] = pairs.reshape(rows, count, numbers // 2)
    return out.reshape(rows, -1)


def _as_bytes(numbers: NDArray[np.float32]) -> Bytes:
    """(rows, n) → (rows, n, 4)."""
    found = np.ascontiguousarray(numbers, dtype="<f4").view(np.uint8)
    return found.reshape(*numbers.shape, 4)


def _fill(out: Bytes, first: int, codes: Bytes) -> None:
    """Put (rows, columns) into blocks from their byte `first` on; the last may not be full."""
    rows, count, end = out.shape
    size, columns = end - first, codes.shape[1]
    whole = columns // size
    out[:, :whole, first:] = codes[:, : whole * size].reshape(rows, whole, size)
    if whole < count:
        out[:, whole, first : first + columns - whole * size] = codes[:, whole * size :]
