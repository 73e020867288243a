"""What mixes tokens in place of attention: a state of one size, however many tokens there were."""

from __future__ import annotations

from typing import Literal

from gptcli.plain import dataclass


@dataclass(frozen=True)
class MemoryNorm:
    """An RMSNorm of what memories are read out as, and the gate beside it.

    size: features that are normed together; shared: one weight of so many for all of them, else
    each feature has its own. gate_first: silu(gate) multiplies before the norm, else after it.
    """

    eps: float
    size: int
    shared: bool
    gate_first: bool


@dataclass(frozen=True)
class Recurrence:
    """Memories, each a matrix (key_dim, value_dim), which every token changes and then reads.

        memory ← decay · memory + key ⊗ written        out = query · memory

    Queries, keys and values first go through a causal convolution over `taps` tokens, feature by
    feature, and silu. decay is exp(-exp(decay_log) · step), step = softplus(step(x) + step_bias)
    within `steps`. rule: "delta", the gated delta rule (arXiv:2412.06464): written = strength ·
    (value - key · decay · memory), of queries and keys of length 1, queries divided by
    sqrt(key_dim); "step", the state space duality of Mamba-2 (arXiv:2405.21060): written = step ·
    value, and skip · value is added to what is read.

    heads: memories; key_heads: of queries and keys, each for heads / key_heads memories that
    follow each other, or where they go `by_turns` for every key_heads-th. bias: of what the stream
    is projected by; filter_bias: of the convolution; out_bias: of what projects back. norm: None
    for the gate alone.

    scales: what each part is multiplied by that the stream is projected to, in the order of
    `parts`, 1 for those behind; out_scale: the same of what is projected back.
    """

    heads: int
    key_heads: int
    key_dim: int
    value_dim: int
    taps: int
    rule: Literal["delta", "step"]
    norm: MemoryNorm | None
    bias: bool = False
    filter_bias: bool = False
    out_bias: bool = False
    steps: tuple[float, float] = (0.0, float("inf"))
    scales: tuple[float, ...] = ()
    out_scale: float = 1.0
    by_turns: bool = False

    @property
    def filtered(self) -> tuple[int, ...]:
        """Features of what the convolution goes over: queries, keys, values."""
        keys = self.key_heads * self.key_dim
        return keys, keys, self.inner

    @property
    def parts(self) -> tuple[int, ...]:
        """Features of all that the stream is projected to: these, gates, steps and strengths."""
        return (*self.filtered, self.inner, self.heads, self.heads if self.rule == "delta" else 0)

    def scale(self, part: int) -> float:
        """What the part of that number is multiplied by."""
        return self.scales[part] if part < len(self.scales) else 1.0

    @property
    def inner(self) -> int:
        """Features of values, and of what is read."""
        return self.heads * self.value_dim


@dataclass(frozen=True)
class ShortConv:
    """after · conv(before · value), a causal convolution over `taps` tokens, feature by feature.

    As in LFM2 (arXiv:2511.23404): "before", "after" and "value" are projections of the stream, of
    `inner` features each. bias: of all linear layers and of the convolution.
    """

    inner: int
    taps: int
    bias: bool = False

    @property
    def filtered(self) -> tuple[int, ...]:
        """Features of what the convolution goes over."""
        return (self.inner,)

    @property
    def parts(self) -> tuple[int, ...]:
        """Features of all that the stream is projected to: values, before, after."""
        return self.inner, self.inner, self.inner


Mixer = Recurrence | ShortConv


def memories(mixer: Mixer) -> int:
    """How many parts a state has whose lengths tell something by themselves."""
    return mixer.heads if isinstance(mixer, Recurrence) else 1


def state_numbers(mixer: Mixer) -> int:
    """How many float32 numbers a row keeps, whatever its length."""
    inputs = (mixer.taps - 1) * sum(mixer.filtered)
    if isinstance(mixer, ShortConv):
        return inputs
    return inputs + mixer.heads * mixer.key_dim * mixer.value_dim
