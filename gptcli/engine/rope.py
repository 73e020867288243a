"""Rotary positions: angles from positions, and the rotation itself."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gptcli.engine.spec import LinearScaling, Llama3Scaling, Rope


def inverse_frequencies(rope: Rope, device: torch.device) -> Tensor:
    """Radians per position for each feature pair, float32, shape (dim / 2,)."""
    exponents = torch.arange(0, rope.dim, 2, dtype=torch.int64, device=device).float() / rope.dim
    frequencies = 1.0 / (rope.theta**exponents)
    match rope.scaling:
        case None:
            return frequencies
        case LinearScaling(factor):
            return frequencies / factor
        case Llama3Scaling():
            return _llama3(frequencies, rope.scaling)


def _llama3(frequencies: Tensor, scaling: Llama3Scaling) -> Tensor:
    wavelengths = 2 * math.pi / frequencies
    low = scaling.original_context / scaling.low_freq_factor
    high = scaling.original_context / scaling.high_freq_factor
    span = scaling.high_freq_factor - scaling.low_freq_factor
    keep = (scaling.original_context / wavelengths - scaling.low_freq_factor) / span
    slowed = frequencies / scaling.factor
    blended = (1 - keep) * slowed + keep * frequencies
    out = torch.where(wavelengths > low, slowed, frequencies)
    between = (wavelengths <= low) & (wavelengths >= high)
    return torch.where(between, blended, out)


def angles(frequencies: Tensor, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and sines for positions of shape (time,) or (batch, time).

    Both results have shape (1 or batch, 1, time, dim / 2); computed in float32, as positions are
    too large for the half types, then cast to `dtype`.
    """
    turned = positions.float().unsqueeze(-1) * frequencies
    turned = turned.unsqueeze(-3) if turned.dim() == 3 else turned[None, None]
    return turned.cos().to(dtype), turned.sin().to(dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the first 2 * cos.size(-1) features of (batch, heads, time, head_dim)."""
    half = cos.size(-1)
    first, second, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    return torch.cat((first * cos - second * sin, second * cos + first * sin, rest), dim=-1)
