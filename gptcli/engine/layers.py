"""The parts of a transformer layer. Shapes: b batch, t time, h heads, d head_dim."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gptcli.engine.cache import KVCache
from gptcli.engine.rope import rotate
from gptcli.engine.spec import Activation, ModelSpec

#: Called with (point, layer, tensor) while the decoder runs; it must not change the tensor.
Probe = Callable[[str, int, Tensor], None]

_ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
}


class Norm(nn.Module):
    """LayerNorm (weight and bias) or RMSNorm (weight alone) over the last axis."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(spec.width))
        self.bias = nn.Parameter(torch.empty(spec.width)) if spec.norm == "layernorm" else None
        self.eps = spec.norm_eps

    def forward(self, x: Tensor) -> Tensor:
        """Same shape in and out."""
        if self.bias is None:
            return F.rms_norm(x, self.weight.shape, self.weight, self.eps)
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


class Attention(nn.Module):
    """Every token gathers values from the tokens it may see, by how its query meets their keys."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        inner, shared = spec.heads * spec.head_dim, spec.kv_heads * spec.head_dim
        self.query = nn.Linear(spec.width, inner, bias=spec.qkv_bias)
        self.key = nn.Linear(spec.width, shared, bias=spec.qkv_bias)
        self.value = nn.Linear(spec.width, shared, bias=spec.qkv_bias)
        self.out = nn.Linear(inner, spec.width, bias=spec.out_bias)

    def forward(
        self,
        x: Tensor,
        layer: int,
        cache: KVCache,
        mask: Tensor | None,
        turn: tuple[Tensor, Tensor] | None,
    ) -> Tensor:
        """(b, t, width) → (b, t, width). `turn` holds RoPE's cosines and sines."""
        q = self._heads(self.query(x))  # (b, h, t, d)
        k, v = self._heads(self.key(x)), self._heads(self.value(x))  # (b, kv_heads, t, d)
        if turn is not None:
            q, k = rotate(q, *turn), rotate(k, *turn)
        keys, values = cache.append(layer, k, v)
        gathered = attend(q, keys, values, mask)
        return self.out(gathered.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], -1, self.spec.head_dim).transpose(1, 2)


def attend(q: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """softmax(q kᵀ / √d) v over (b, h, t, d), each key/value head shared by h / kv_heads queries.

    `mask` (b or 1, 1, t, total) is True where a query may look; None means causal where the
    queries are all there is, and everything where a single query comes last.
    """
    b, heads, t, d = q.shape
    kv_heads = keys.size(1)
    if t == 1:
        # A group's queries stand in the time axis: faster than repeating keys for one query.
        folded = q.reshape(b, kv_heads, heads // kv_heads, d)
        out = F.scaled_dot_product_attention(folded, keys, values, attn_mask=mask)
        return out.view(b, heads, 1, d)
    return F.scaled_dot_product_attention(
        q, keys, values, attn_mask=mask, is_causal=mask is None, enable_gqa=kv_heads != heads
    )


class MLP(nn.Module):
    """Every token thinks alone: widen, bend, narrow; gated where the spec says so."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.gate = nn.Linear(spec.width, spec.hidden, bias=spec.mlp_bias) if spec.gated else None
        self.up = nn.Linear(spec.width, spec.hidden, bias=spec.mlp_bias)
        self.down = nn.Linear(spec.hidden, spec.width, bias=spec.mlp_bias)
        self.activation = _ACTIVATIONS[spec.activation]

    def forward(self, x: Tensor) -> Tensor:
        """(b, t, width) → (b, t, width)."""
        if self.gate is None:
            return self.down(self.activation(self.up(x)))  # type: ignore[no-any-return]
        return self.down(self.activation(self.gate(x)) * self.up(x))  # type: ignore[no-any-return]


class Layer(nn.Module):
    """Attention, then MLP; each reads the normed stream and adds its update to the stream."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.attention_norm = Norm(spec)
        self.attention = Attention(spec)
        self.mlp_norm = Norm(spec)
        self.mlp = MLP(spec)

    def forward(
        self,
        stream: Tensor,
        layer: int,
        cache: KVCache,
        mask: Tensor | None,
        turn: tuple[Tensor, Tensor] | None,
        probe: Probe | None,
    ) -> Tensor:
        """(b, t, width) → (b, t, width). Probe points: "attention" and "mlp", the two updates."""
        update = self.attention(self.attention_norm(stream), layer, cache, mask, turn)
        if probe is not None:
            probe("attention", layer, update)
        stream = stream + update
        update = self.mlp(self.mlp_norm(stream))
        if probe is not None:
            probe("mlp", layer, update)
        return stream + update  # type: ignore[no-any-return]
