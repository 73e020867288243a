"""The angles of engine.torch.rope in numpy, for where torch is not loaded. Tested against it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.arrays import quiet
from gptcli.engine.model.rotations import (
    DynamicScaling,
    LinearScaling,
    Llama3Scaling,
    LongRopeScaling,
    Rope,
    YarnScaling,
)

Floats = NDArray[np.float32]


@quiet
def inverse_frequencies(rope: Rope, context: int) -> Floats:
    """Radians per position for each feature pair, (dim / 2,); see rope.inverse_frequencies."""
    found = _all_frequencies(rope, context)
    if rope.turning is not None:
        found[rope.turning :] = 0
    return found


def _all_frequencies(rope: Rope, context: int) -> Floats:
    exponents = np.arange(0, rope.dim, 2).astype(np.float32) / np.float32(rope.dim)
    scaling = rope.scaling
    theta = rope.theta
    if isinstance(scaling, DynamicScaling):
        longer = max(context, scaling.original_context) / scaling.original_context
        grown = scaling.factor * longer - (scaling.factor - 1)
        theta *= grown ** (rope.dim / (rope.dim - 2))
    # Powers in float64, rounded once.
    wavelengths = (theta ** exponents.astype(np.float64)).astype(np.float32)
    one = np.float32(1)
    match scaling:
        case LinearScaling(factor):
            return one / wavelengths / np.float32(factor)
        case Llama3Scaling():
            return _llama3(one / wavelengths, scaling)
        case YarnScaling():
            return _yarn(wavelengths, rope, scaling)
        case LongRopeScaling():
            used = scaling.long if context > scaling.original_context else scaling.short
            return one / (np.array(used, dtype=np.float32) * wavelengths)
    return one / wavelengths


def _llama3(frequencies: Floats, scaling: Llama3Scaling) -> Floats:
    wavelengths = np.float32(2 * math.pi) / frequencies
    low = scaling.original_context / scaling.low_freq_factor
    high = scaling.original_context / scaling.high_freq_factor
    span = np.float32(scaling.high_freq_factor - scaling.low_freq_factor)
    turns = np.float32(scaling.original_context) / wavelengths
    slowed = frequencies / np.float32(scaling.factor)
    out = np.where(wavelengths > low, slowed, frequencies)
    if not span:
        return out
    keep = (turns - np.float32(scaling.low_freq_factor)) / span
    blended = (1 - keep) * slowed + keep * frequencies
    between = (wavelengths <= low) & (wavelengths >= high)
    return np.where(between, blended, out)


def _yarn(wavelengths: Floats, rope: Rope, scaling: YarnScaling) -> Floats:
    def feature(turns: float) -> float:
        ratio = scaling.original_context / (turns * 2 * math.pi)
        return rope.dim * math.log(ratio) / (2 * math.log(rope.theta))

    first, last = feature(scaling.beta_fast), feature(scaling.beta_slow)
    if scaling.truncate:
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, rope.dim - 1)
    if first == last:
        last += 0.001
    pairs = np.arange(rope.dim // 2, dtype=np.float32)
    slowed = ((pairs - np.float32(first)) / np.float32(last - first)).clip(0, 1)
    one = np.float32(1)
    slow: Floats = one / (np.float32(scaling.factor) * wavelengths)
    kept: Floats = one / wavelengths
    blended: Floats = slow * slowed + kept * (1 - slowed)
    return blended


@quiet
def angles(rope: Rope, positions: int, context: int) -> tuple[Floats, Floats]:
    """Cosines and sines of positions 0 … positions - 1, each (positions, dim / 2)."""
    turned = np.arange(positions, dtype=np.float32)[:, None] * inverse_frequencies(rope, context)
    cos, sin = np.cos(turned), np.sin(turned)
    if isinstance(rope.scaling, YarnScaling | LongRopeScaling):
        amplitude = np.float32(rope.scaling.attention_factor)
        cos, sin = cos * amplitude, sin * amplitude
    return np.ascontiguousarray(cos), np.ascontiguousarray(sin)


def slopes(heads: int) -> Floats:
    """ALiBi's slopes, (heads,); see masks.slopes."""
    power = 1 << (heads.bit_length() - 1)
    found = 2.0 ** (-8.0 / power * np.arange(1, power + 1, dtype=np.float32))
    between = 2.0 ** (-4.0 / power * np.arange(1, 2 * (heads - power), 2, dtype=np.float32))
    return np.concatenate((found, between)).astype(np.float32)
