"""What a model is, as orthogonal facts: no field names a family, and no name steers the maths."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from gptcli.engine.model.experts import Experts
from gptcli.engine.model.latents import Latents
from gptcli.engine.model.layer_inputs import LayerInputs
from gptcli.engine.model.layer_shape import LayerShape
from gptcli.engine.model.mixers import Mixer, state_numbers
from gptcli.engine.model.rotations import Rope, Temperature
from gptcli.engine.model.sight import Sight
from gptcli.plain import dataclass

NormKind = Literal["layernorm", "rmsnorm"]
Activation = Literal["gelu", "gelu_tanh", "quick_gelu", "relu", "relu_squared", "silu"]


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
class HeadNorm:
    """A norm of queries and of keys, before RoPE, or behind it where `after_rope`.

    over: "head", each head by itself with one weight for all of them; "each_head", the same with
    a weight for each head; "width", all heads together.
    """

    norm: NormSpec
    over: Literal["head", "each_head", "width"]
    after_rope: bool = False


@dataclass(frozen=True)
class OutputGate:
    """What attention gathered is multiplied by: activation(gate(x)), of each feature or head."""

    over: Literal["feature", "head"]
    activation: Literal["sigmoid", "softplus"] = "sigmoid"


@dataclass(frozen=True)
class LayerSpec:
    """What may differ from layer to layer.

    rope: None for no rotation here; window: how many tokens back attention sees (itself
    included), None for all of them; chunk: it sees nothing before the last multiple of this;
    mixture: its MLP is the spec's `experts`; shape: its own sizes; normed_heads: has `head_norm`;
    mixer: what it has in place of attention, or beside it where `beside`: both then read the same,
    and what they say is added up; mixes, thinks: whether it has attention or a mixer, and an MLP;
    reads: the layer before it, of its shape and window, whose keys and values it meets, None for
    its own; values_are_keys: values are what keys are projected to, before their norm and RoPE.
    """

    rope: Rope | None = None
    window: int | None = None
    mixture: bool = False
    shape: LayerShape | None = None
    chunk: int | None = None
    temperature: Temperature | None = None
    normed_heads: bool = True
    mixer: Mixer | None = None
    beside: bool = False
    mixes: bool = True
    thinks: bool = True
    reads: int | None = None
    values_are_keys: bool = False

    @property
    def keeps(self) -> bool:
        """Whether it has keys and values of its own."""
        return self.attends and self.reads is None

    @property
    def sight(self) -> Sight:
        """How far back its attention sees."""
        return Sight(self.window, self.chunk)

    def held(self, tokens: int) -> int:
        """For how many of so many tokens its own keys and values have room."""
        return tokens if self.mixer is not None else self.sight.held(tokens)

    @property
    def attends(self) -> bool:
        """Whether it has attention."""
        return self.mixes and (self.mixer is None or self.beside)


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
    attention_gate: a gate of what it gathers, read from the stream as queries are. latents: keys
    and values are one latent; `heads` is then of queries, kv_heads 1, head_dim of what is kept.
    attention_out_scale multiplies what it says. value_norm: the epsilon of an RMSNorm of each
    head's values, which has no weight.

    MLP. gated: down(activation(gate_scale * gate) * (up + up_offset)); gate_limit: the gate is cut
    off above it, `up` on both sides. mlp_out_scale multiplies what it says.

    Layers. norms: before each block reads the stream, on its update before that is added, or
    both; blocks: one after the other, or both reading the same stream, through a norm each or
    through one; residual_scale multiplies the updates. layer_inputs: what each layer is told of its
    token, behind its MLP; layer_scales: what it leaves is multiplied by a number of its own.

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
    attention_gate: OutputGate | None = None
    value_norm: float | None = None
    latents: Latents | None = None
    experts: Experts | None = None
    attention_out_scale: float = 1.0
    gate_scale: float = 1.0
    gate_limit: float | None = None
    up_offset: float = 0.0
    mlp_out_scale: float = 1.0
    norms: Literal["before", "after", "both"] = "before"
    blocks: Literal["serial", "parallel", "parallel_one_norm"] = "serial"
    residual_scale: float = 1.0
    layer_inputs: LayerInputs | None = None
    layer_scales: bool = False
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
        values = None if self.latents is None else 0
        return LayerShape(self.heads, self.kv_heads, self.head_dim, self.hidden, values)

    @cached_property
    def shapes(self) -> tuple[LayerShape, ...]:
        """The sizes of every layer."""
        return tuple(each.shape or self.shape for each in self.each_layer)

    def gathered(self, shape: LayerShape) -> int:
        """Features that attention of that shape hands on to its last matrix."""
        each = shape.head_dim if self.latents is None else self.latents.value
        return shape.heads * each

    @property
    def mixtures(self) -> int:
        """How many of them have a mixture of experts."""
        return sum(each.mixture for each in self.each_layer)

    @property
    def group(self) -> int:
        """How many query heads share one key/value head."""
        return self.heads // self.kv_heads

    @cached_property
    def attending(self) -> tuple[int, ...]:
        """The layers that have attention."""
        return tuple(i for i, each in enumerate(self.each_layer) if each.attends)

    @cached_property
    def carrying(self) -> tuple[int, ...]:
        """The layers that carry a state from token to token in place of attention."""
        return tuple(i for i, each in enumerate(self.each_layer) if each.mixer is not None)

    def near(self, limit: int) -> tuple[int, ...]:
        """The layers that need not hold all of a text of `limit` tokens."""
        pairs = enumerate(self.each_layer)
        return tuple(i for i, each in pairs if each.keeps and each.held(limit) < limit)

    def kept(self, element_size: int) -> tuple[int, ...]:
        """How many bytes a token leaves behind in the KV cache of each layer."""
        pairs = zip(self.each_layer, self.shapes, strict=True)
        return tuple(shape.kept(element_size) if each.keeps else 0 for each, shape in pairs)

    def source(self, layer: int) -> int:
        """The layer whose keys and values a layer's attention meets."""
        reads = self.each_layer[layer].reads
        return layer if reads is None else reads

    @cached_property
    def row_bytes(self) -> int:
        """Bytes of what a row keeps whatever its length: the states of its mixers, in float32."""
        return 4 * sum(state_numbers(each.mixer) for each in self.each_layer if each.mixer)

    def cache_bytes(self, tokens: int, element_size: int, batch: int = 1) -> int:
        """Bytes of the state of `batch` rows of `tokens` tokens each."""
        pairs = zip(self.each_layer, self.kept(element_size), strict=True)
        kept = sum(each.held(tokens) * size for each, size in pairs)
        return batch * (kept + self.row_bytes)

    def token_bytes(self, element_size: int) -> int:
        """Bytes that a token leaves behind in the KV cache of all layers."""
        return sum(self.kept(element_size))
