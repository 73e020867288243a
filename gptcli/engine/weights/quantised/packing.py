"""Whole numbers of a few bits, side by side in 32-bit words, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

#: Numbers dequantised at a time: what is computed on the way stays in the CPU's cache, which
#: takes a third of the time that whole matrices do.
_CHUNK = 1 << 19


def unpack(words: Tensor, bits: int, dim: int) -> Tensor:
    """The unsigned numbers in a matrix of int32 words, as int32.

    Along `dim` each word becomes 32 / bits numbers, the lowest bits first.
    """
    shape = [1, 1, 1]
    shape[dim + 1] = -1
    shifts = torch.arange(0, 32, bits, dtype=torch.int32).view(shape)
    # The shift fills with the sign from above, which the mask takes away.
    return ((words.unsqueeze(dim + 1) >> shifts) & ((1 << bits) - 1)).flatten(dim, dim + 1)


def slices(rows: int, columns: int, multiple: int = 1) -> Iterator[slice]:
    """Cuts a matrix into as many whole multiples of rows as are well computed at a time."""
    step = max(_CHUNK // (columns * multiple), 1) * multiple
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def scaled(
    numbers: Callable[[slice], Tensor], zeros: Tensor, scales: Tensor, groups: Tensor, multiple: int
) -> Tensor:
    """(in, out) with weight[i] = scales[g] · (numbers[i] − zeros[g]) and g = groups[i].

    zeros and scales are (groups, out); numbers gives some of the rows, of which there are as many
    as in `groups`, in whole multiples. Computed in the dtype of the scales.
    """
    outputs = scales.size(1)
    weight = torch.empty(len(groups), outputs, dtype=scales.dtype)
    for rows in slices(len(groups), outputs, multiple):
        group = groups[rows]
        shifted = (numbers(rows) - zeros[group]).to(scales.dtype)
        torch.mul(shifted, scales[group], out=weight[rows])
    return weight
