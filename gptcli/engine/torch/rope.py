"""Rotary positions: angles from positions, and the rotation itself."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from gptcli.engine.model.rotations import (
    DynamicScaling,
    LinearScaling,
    Llama3Scaling,
    LongRopeScaling,
    Rope,
    YarnScaling,
)


class Rotation(NamedTuple):
    """Cosines and sines of some positions, (1 or batch, 1, time, dim / 2), and their pairing.

    whole: they are of all features, see `whole`.
    """

    cos: Tensor
    sin: Tensor
    interleaved: bool = False
    whole: bool = False


def inverse_frequencies(rope: Rope, device: torch.device, context: int) -> Tensor:
    """Radians per position for each feature pair, float32, shape (dim / 2,).

    context: the most tokens that may be used, on which dynamic NTK and LongRoPE depend. They
    depend on that and not on how many tokens there are yet: keys of earlier tokens, and all that
    upper layers made of them, were computed with the frequencies of then, so a length that crosses
    the border would need everything once more, and the same prompt would give other logits in one
    piece than in chunks. So a smaller --ctx-size, up to the original context, gives the
    frequencies that short prompts have in transformers; a larger one those that a prompt of that
    length has. vLLM and llama.cpp decide by the context in use as well.
    """
    found = _all_frequencies(rope, device, context)
    if rope.turning is not None:
        found[rope.turning :] = 0
    return found


def _all_frequencies(rope: Rope, device: torch.device, context: int) -> Tensor:
    exponents = torch.arange(0, rope.dim, 2, dtype=torch.int64, device=device).float() / rope.dim
    scaling = rope.scaling
    if isinstance(scaling, DynamicScaling):
        return 1.0 / (_dynamic_theta(rope, scaling, context) ** exponents)
    wavelengths = rope.theta**exponents  # in units of 2 pi positions
    match scaling:
        case None:
            return 1.0 / wavelengths
        case LinearScaling(factor):
            return 1.0 / wavelengths / factor
        case Llama3Scaling():
            return _llama3(1.0 / wavelengths, scaling)
        case YarnScaling():
            return _yarn(wavelengths, rope, scaling)
        case LongRopeScaling():
            used = scaling.long if context > scaling.original_context else scaling.short
            return 1.0 / (torch.tensor(used, dtype=torch.float32, device=device) * wavelengths)


def _llama3(frequencies: Tensor, scaling: Llama3Scaling) -> Tensor:
    wavelengths = 2 * math.pi / frequencies
    low = scaling.original_context / scaling.low_freq_factor
    high = scaling.original_context / scaling.high_freq_factor
    span = scaling.high_freq_factor - scaling.low_freq_factor
    slowed = frequencies / scaling.factor
    out = torch.where(wavelengths > low, slowed, frequencies)
    if not span:
        return out
    keep = (scaling.original_context / wavelengths - scaling.low_freq_factor) / span
    blended = (1 - keep) * slowed + keep * frequencies
    between = (wavelengths <= low) & (wavelengths >= high)
    return torch.where(between, blended, out)


def _yarn(wavelengths: Tensor, rope: Rope, scaling: YarnScaling) -> Tensor:
    def feature(turns: float) -> float:
        """The pair, as a real number, that makes so many turns in the original context."""
        ratio = scaling.original_context / (turns * 2 * math.pi)
        return rope.dim * math.log(ratio) / (2 * math.log(rope.theta))

    first, last = feature(scaling.beta_fast), feature(scaling.beta_slow)
    if scaling.truncate:
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, rope.dim - 1)
    if first == last:
        last += 0.001
    pairs = torch.arange(rope.dim // 2, dtype=torch.float32, device=wavelengths.device)
    slowed = ((pairs - first) / (last - first)).clamp(0, 1)
    return 1.0 / (scaling.factor * wavelengths) * slowed + 1.0 / wavelengths * (1 - slowed)


def _dynamic_theta(rope: Rope, scaling: DynamicScaling, context: int) -> float:
    longer = max(context, scaling.original_context) / scaling.original_context
    grown = scaling.factor * longer - (scaling.factor - 1)
    return float(rope.theta * grown ** (rope.dim / (rope.dim - 2)))


def amplitude(rope: Rope) -> float:
    """What cosines and sines are multiplied by, which sharpens or flattens attention."""
    if isinstance(rope.scaling, YarnScaling | LongRopeScaling):
        return rope.scaling.attention_factor
    return 1.0


def angles(
    frequencies: Tensor, positions: Tensor, dtype: torch.dtype, amplitude: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Cosines and sines for positions of shape (time,) or (batch, time).

    Both results have shape (1 or batch, 1, time, dim / 2); computed in float32, as positions are
    too large for the half types, then cast to `dtype`.
    """
    turned = positions.float().unsqueeze(-1) * frequencies
    turned = turned.unsqueeze(-3) if turned.dim() == 3 else turned[None, None]
    cos, sin = turned.cos(), turned.sin()
    if amplitude != 1.0:
        cos, sin = cos * amplitude, sin * amplitude
    return cos.to(dtype), sin.to(dtype)


def whole(turn: Rotation) -> Rotation:
    """The same for features that all turn, (…, dim): a feature's partner has its sine's sign.

    The same products are added up, by a third of the operations.
    """
    cos, sin = turn.cos, turn.sin
    return Rotation(torch.cat((cos, cos), -1), torch.cat((-sin, sin), -1), whole=True)


def rotate(
    x: Tensor, cos: Tensor, sin: Tensor, interleaved: bool = False, whole: bool = False
) -> Tensor:
    """Rotate the first 2 * cos.size(-1) features of (batch, heads, time, head_dim)."""
    if whole:
        return torch.addcmul(x * cos, x.roll(x.size(-1) // 2, -1), sin)
    half = cos.size(-1)
    rest = x[..., 2 * half :]
    if interleaved:
        first, second = x[..., 0 : 2 * half : 2], x[..., 1 : 2 * half : 2]
        turned = torch.stack((first * cos - second * sin, second * cos + first * sin), dim=-1)
        return torch.cat((turned.flatten(-2), rest), dim=-1)
    first, second = x[..., :half], x[..., half : 2 * half]
    return torch.cat((first * cos - second * sin, second * cos + first * sin, rest), dim=-1)
