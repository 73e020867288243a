"""Whole numbers of a few bits, side by side in 32-bit words."""

from __future__ import annotations

import torch
from torch import Tensor


def unpack(words: Tensor, bits: int, dim: int) -> Tensor:
    """The unsigned numbers in a matrix of int32 words, as int32.

    Along `dim` each word becomes 32 / bits numbers, the lowest bits first.
    """
    shape = [1, 1, 1]
    shape[dim + 1] = -1
    shifts = torch.arange(0, 32, bits, dtype=torch.int32).view(shape)
    # The shift fills with the sign from above, which the mask takes away.
    return ((words.unsqueeze(dim + 1) >> shifts) & ((1 << bits) - 1)).flatten(dim, dim + 1)
