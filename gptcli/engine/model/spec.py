"""What a model is, as orthogonal facts: no field names a family, and no name steers the maths."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from gptcli.engine.model.experts import Experts

NormKind = Literal["layernorm", "rmsnorm"]
Activation = Literal["gelu", "gelu_tanh", "quick_gelu", "relu", "relu_squared", "silu"]


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
class YarnScaling:
    """Frequencies that turn seldom in the original context are divided by `factor`, others kept.

    Between `beta_slow` and `beta_fast` turns the two are blended; `truncate` rounds these borders
    outwards to whole features. Cosines and sines are multiplied by `attention_factor`
    (arXiv:2309.00071).
    """

    factor: float
    original_context: int
    attention_factor: float
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    truncate: bool = True


@dataclass(frozen=True)
class DynamicScaling:
    """The base grows with the context in use beyond the original one ("dynamic NTK").

    `factor` says how fast. See `rope.inverse_frequencies` for which length counts.
    """

    factor: float
    original_context: int


@dataclass(frozen=True)
class LongRopeScaling:
    """Each frequency is divided by a number of its own (arXiv:2402.13753).

    `short` holds where the context in use is at most the original one, `long` beyond it; cosines
    and sines are multiplied by `attention_factor` in both.
    """

    short: tuple[float, ...]
    long: tuple[float, ...]
    original_context: int
    attention_factor: float


Scaling = LinearScaling | Llama3Scaling | YarnScaling | DynamicScaling | LongRopeScaling


@dataclass(frozen=True)
class Rope:
    """Rotary positions (arXiv:2104.09864) over the first `dim` features of each head.

    Feature j is paired with feature j + dim/2, as most weights for transformers are stored, or,
    where `interleaved`, feature 2j with 2j + 1.
    """

    theta: float
    dim: int
    scaling: Scaling | None = None
    interleaved: bool = False


@dataclass(frozen=True)
class NormSpec:
    """LayerNorm (arXiv:1607.06450) or RMSNorm (arXiv:1910.07467).

    offset: the stored weight is what is added to 1. The weight multiplies in float32, before the
    result is rounded to the model's dtype. weightless: there is none.
    """

    kind: NormKind
    eps: float
    bias: bool = False
    offset: bool = False
    weightless: bool = False


@dataclass(frozen=True)
class Temperature:
    """Queries, times 1 + scale * ln(1 + (position + first) // length) (arXiv:2501.19399)."""

    scale: float
    length: int
    first: int = 0


@dataclass(frozen=True)
class HeadNorm:
    """A norm of queries and of keys, before RoPE, or behind it where `after_rope`.

    over: "head", each head by itself with one weight for all of them; "each_head", the same with
    a weight for each head; "width", all heads together.
    """

    norm: NormSpec
    over: Literal["head", "each_head", "width"]
    after_rope: bool = False


@dataclass(frozen=True)
class LayerShape:
    """The sizes of one layer: heads of attention, features of each, features inside the MLP."""

    heads: int
    kv_heads: int
    head_dim: int
    hidden: int

    @property
    def group(self) -> int:
        """How many query heads share one key/value head."""
        return self.heads // self.kv_heads

    @property
    def kept(self) -> int:
        """How many numbers a token leaves behind: its keys and its values."""
        return 2 * self.kv_heads * self.head_dim


@dataclass(frozen=True)
class LayerSpec:
    """What may differ from layer to layer.

    rope: None for no rotation here; window: how many tokens back attention sees (itself
    included), None for all of them; chunk: it sees nothing before the last multiple of this;
    mixture: its MLP is the spec's `experts`; shape: its own sizes; normed_heads: has `head_norm`.
    """

    rope: Rope | None = None
    window: int | None = None
    mixture: bool = False
    shape: LayerShape | None = None
    chunk: int | None = None
    temperature: Temperature | None = None
    normed_heads: bool = True


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """The shape and the choices of a decoder-only transformer.

    Sizes. width: features of the residual stream; hidden: features inside the MLP; context: the
    most tokens it was made for. Heads, their features and `hidden` are those of a layer that has
    none of its own, see `shapes`.

    Positions. The rotations of `each_layer`, a learned vector for each position
    (`learned_positions`), or a bias that falls with distance (`alibi`, a multiplier of the slopes
    of arXiv:2108.12409); none of them means no positions at all.

    Attention. attention_scale: what the products of queries and keys are multiplied by, None for
    1 / sqrt(head_dim); softcaps: x becomes cap * tanh(x / cap); sinks: each head has one more
    logit that takes part in the softmax and has no value.

    MLP. gated: down(activation(gate) * (up + up_offset)); gate_limit: the gate is cut off above
    it, `up` on both sides.

    Layers. norms: before each block reads the stream, on its update before that is added, or
    both; blocks: one after the other, or both reading the same stream, through a norm each or
    through one; residual_scale multiplies the updates.

    Ends. embedding_scale multiplies the embedding, rounded to the model's dtype as Gemma was
    trained; logit_scale multiplies the logits, before their softcap.
    """

    width: int
    heads: int
    kv_heads: int
    head_dim: int
    hidden: int
    vocab: int
    context: int
    each_layer: tuple[LayerSpec, ...]
    norm: NormSpec
    activation: Activation
    gated: bool
    tied: bool
    learned_positions: bool = False
    alibi: float | None = None
    qkv_bias: bool = False
    out_bias: bool = False
    mlp_bias: bool = False
    head_bias: bool = False
    head_norm: HeadNorm | None = None
    attention_scale: float | None = None
    attention_softcap: float | None = None
    sinks: bool = False
    experts: Experts | None = None
    gate_limit: float | None = None
    up_offset: float = 0.0
    norms: Literal["before", "after", "both"] = "before"
    blocks: Literal["serial", "parallel", "parallel_one_norm"] = "serial"
    residual_scale: float = 1.0
    embedding_norm: bool = False
    embedding_scale: float = 1.0
    logit_scale: float = 1.0
    final_softcap: float | None = None

    @property
    def layers(self) -> int:
        """How many layers there are."""
        return len(self.each_layer)

    @property
    def shape(self) -> LayerShape:
        """The sizes that a layer has which says nothing of its own."""
        return LayerShape(self.heads, self.kv_heads, self.head_dim, self.hidden)

    @cached_property
    def shapes(self) -> tuple[LayerShape, ...]:
        """The sizes of every layer."""
        return tuple(each.shape or self.shape for each in self.each_layer)

    @property
    def mixtures(self) -> int:
        """How many of them have a mixture of experts."""
        return sum(each.mixture for each in self.each_layer)

    @property
    def group(self) -> int:
        """How many query heads share one key/value head."""
        return self.heads // self.kv_heads

    def cache_bytes(self, tokens: int, element_size: int, batch: int = 1) -> int:
        """Bytes of keys and values for `tokens` tokens in each of `batch` rows."""
        return sum(shape.kept for shape in self.shapes) * batch * tokens * element_size
