"""What a model is, as orthogonal facts: no field names a family, and no name steers the maths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Norm = Literal["layernorm", "rmsnorm"]
Activation = Literal["gelu", "gelu_tanh", "relu", "silu"]


@dataclass(frozen=True)
class LinearScaling:
    """Positions are divided by `factor` (position interpolation, arXiv:2306.15595)."""

    factor: float


@dataclass(frozen=True)
class Llama3Scaling:
    """Low frequencies are divided by `factor`, high ones kept, those between blended.

    A frequency is low when its wavelength is longer than original_context / low_freq_factor and
    high when shorter than original_context / high_freq_factor (Llama 3.1's published scheme).
    """

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_context: int


@dataclass(frozen=True)
class Rope:
    """Rotary positions (arXiv:2104.09864) over the first `dim` features of each head.

    Feature j is paired with feature j + dim/2, as in the published Llama weights for transformers.
    """

    theta: float
    dim: int
    scaling: LinearScaling | Llama3Scaling | None = None


@dataclass(frozen=True)
class ModelSpec:
    """The shape and the choices of a decoder-only transformer.

    width: features of the residual stream; hidden: features inside the MLP; context: the most
    tokens it was made for; rope None with learned_positions False means no positions at all;
    window: how many tokens back attention sees (itself included), None for all of them.
    """

    layers: int
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    hidden: int
    vocab: int
    context: int
    norm: Norm
    norm_eps: float
    activation: Activation
    gated: bool
    rope: Rope | None
    learned_positions: bool
    tied: bool
    qkv_bias: bool = False
    out_bias: bool = False
    mlp_bias: bool = False
    window: int | None = None

    @property
    def group(self) -> int:
        """How many query heads share one key/value head."""
        return self.heads // self.kv_heads

    def cache_bytes(self, tokens: int, element_size: int, batch: int = 1) -> int:
        """Bytes of keys and values for `tokens` tokens in each of `batch` rows."""
        return 2 * self.layers * batch * self.kv_heads * tokens * self.head_dim * element_size
