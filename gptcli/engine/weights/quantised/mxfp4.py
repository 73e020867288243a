"""MXFP4 (OCP Microscaling Formats 1.0): blocks of 32 four-bit floats that share an exponent.

Stored as in gpt-oss: `blocks` (…, out, in / 32, 16) bytes, each with two numbers, the one in the
low four bits first; `scales` (…, out, in / 32) bytes, an exponent of two plus 127.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: What the four bits mean: a sign, two bits of exponent, one of mantissa.
_POSITIVE = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
VALUES = (*_POSITIVE, *(-value for value in _POSITIVE))


def dequantise(blocks: Tensor, scales: Tensor, dtype: torch.dtype) -> Tensor:
    """The numbers, (…, out, in), in a float dtype: exact where it has the exponent's range."""
    bytes_ = torch.arange(256)
    pairs = torch.tensor(VALUES, dtype=dtype)[torch.stack((bytes_ & 15, bytes_ >> 4), dim=-1)]
    pairs = pairs.to(blocks.device)  # (256, 2): a look-up for each byte
    numbers = pairs[blocks.int()].flatten(-2)  # (…, out, in / 32, 32)
    exponents = (scales.int() - 127).unsqueeze(-1)
    return torch.ldexp(numbers, exponents).to(dtype).flatten(-2)
