"""Attention of a layer's heads. Shapes: b batch, t time, h heads, d head_dim."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gptcli.engine.model.rotations import Temperature
from gptcli.engine.model.spec import HeadNorm, LayerSpec, ModelSpec
from gptcli.engine.torch.attention import attend, attend_written_out
from gptcli.engine.torch.given import Given
from gptcli.engine.torch.joined import Joined, joined
from gptcli.engine.torch.norm import Norm
from gptcli.engine.torch.rope import Rotation, rotate
from gptcli.engine.torch.scaled import scaled


class Attention(nn.Module):
    """Every token gathers values from the tokens it may see, by how its query meets their keys."""

    def __init__(self, spec: ModelSpec, this: LayerSpec) -> None:
        super().__init__()
        shape = this.shape or spec.shape
        self.spec, self.head_dim, self.reads = spec, shape.head_dim, this.reads
        self.temperature = this.temperature
        inner, shared = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
        self.query = nn.Linear(spec.width, inner, bias=spec.qkv_bias)
        self.key = self.value = None
        if this.keeps:
            self.key = nn.Linear(spec.width, shared, bias=spec.qkv_bias)
            if not this.values_are_keys:
                self.value = nn.Linear(spec.width, shared, bias=spec.qkv_bias)
        gate = spec.attention_gate
        self.gate: nn.Linear | None = None
        if gate is not None:
            gates = inner if gate.over == "feature" else shape.heads
            self.gate = nn.Linear(spec.width, gates, bias=spec.qkv_bias)
            self.gate_activation = _GATES[gate.activation]
        self.out = nn.Linear(inner, spec.width, bias=spec.out_bias)
        norm = spec.head_norm if this.normed_heads else None
        self.query_norm = _head_norm(norm, shape.heads, shape.head_dim)
        self.key_norm = _head_norm(norm, shape.kv_heads, shape.head_dim) if this.keeps else None
        self.sinks = nn.Parameter(torch.empty(shape.heads)) if spec.sinks else None
        self.norm_after_rope = spec.head_norm is not None and spec.head_norm.after_rope
        self.written_out = spec.sinks or spec.attention_softcap is not None
        self._joined: Joined | None = None

    def join(self) -> None:
        """From now on project together in recorded steps. Weights must stay what they are."""
        self._joined = joined(self.query, self.key, self.value)

    def forward(self, x: Tensor, given: Given) -> Tensor:
        """(b, t, width) → (b, t, width). Points: "queries", "keys", "values", "heads"."""
        new: tuple[Tensor, Tensor] | None = None
        if self._joined is not None and given.state.fixed:
            q, key, value = self._together(self._joined, x, given.turn)
            new = key, value
        else:
            q = self._placed(self.query(x), self.query_norm, given.turn)  # (b, h, t, d)
        if self.temperature is not None:
            at = given.state.positions(x.size(1), x.device)
            q = q * _sharpening(self.temperature, at).to(q.dtype)
        if self.reads is None:
            new = new or self._kept(x, given.turn)
            keys, values = given.kept.append(*new, given.state.lengths)
            if given.layer in given.lent:
                given.lent[given.layer] = keys, values
        else:
            keys, values = given.lent[self.reads]
        given.show("queries", q)
        given.show("keys", keys)
        given.show("values", values)
        scale = self.spec.attention_scale
        if self.written_out:
            softcap = self.spec.attention_softcap
            gathered = attend_written_out(
                q, keys, values, given.mask, scale, softcap=softcap, sinks=self.sinks
            )
        else:
            gathered = attend(q, keys, values, given.mask, scale)
        gathered = gathered.transpose(1, 2)  # (b, t, h, d)
        if self.gate is not None:
            gate = self.gate_activation(self.gate(x))
            gathered = gathered * gate.view(*gathered.shape[:3], -1)
        gathered = given.passing("heads", gathered.flatten(2))
        return scaled(self.out(gathered), self.spec.attention_out_scale)

    def _kept(self, x: Tensor, turn: Rotation | None) -> tuple[Tensor, Tensor]:
        """Keys and values of tokens, (b, kv_heads, t, d) each."""
        assert self.key is not None
        projected = self.key(x)
        values = self._values(projected if self.value is None else self.value(x))
        return self._placed(projected, self.key_norm, turn), values

    def _together(
        self, joined: Joined, x: Tensor, turn: Rotation | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of tokens."""
        every = joined(x)
        query, key, value = every.split(joined.sizes, dim=-1)
        if turn is None or self.query_norm is not None or self.key_norm is not None:
            return (
                self._placed(query, self.query_norm, turn),
                self._placed(key, self.key_norm, turn),
                self._values(value),
            )
        both = every[..., : -value.size(-1)]
        turned = rotate(self._heads(both, None), *turn)
        heads = query.size(-1) // self.head_dim
        return turned[:, :heads], turned[:, heads:], self._values(value)

    def _values(self, projected: Tensor) -> Tensor:
        values = self._heads(projected, None)
        if self.spec.value_norm is not None:
            values = F.rms_norm(values, values.shape[-1:], eps=self.spec.value_norm)
        return values

    def _placed(self, x: Tensor, norm: Norm | None, turn: Rotation | None) -> Tensor:
        """Heads of what was projected, normed and turned by where they stand."""
        heads = self._heads(x, None if self.norm_after_rope else norm)
        if turn is not None:
            heads = rotate(heads, *turn)
        return self._normed(heads, norm) if self.norm_after_rope else heads

    def _heads(self, x: Tensor, norm: Norm | None) -> Tensor:
        heads = (*x.shape[:-1], -1, self.head_dim)
        if norm is not None:
            over = self.spec.head_norm
            whole = over is not None and over.over == "width"
            x = norm(x) if whole else norm(x.view(heads))
        return x.view(heads).transpose(1, 2)

    def _normed(self, x: Tensor, norm: Norm | None) -> Tensor:
        """The norm of heads that were made already, (b, h, t, d)."""
        return x if norm is None else self._heads(x.transpose(1, 2).flatten(2), norm)


def _sharpening(temperature: Temperature, at: Tensor) -> Tensor:
    """What queries at positions, (time,) or (batch, time), are multiplied by: (…, 1, time, 1)."""
    times = torch.div(at + temperature.first, temperature.length, rounding_mode="floor")
    found = 1 + temperature.scale * torch.log1p(times.float())
    return found[..., None, :, None]


def _head_norm(spec: HeadNorm | None, heads: int, head_dim: int) -> Norm | None:
    match spec:
        case None:
            return None
        case HeadNorm(over="head"):
            return Norm(spec.norm, head_dim)
        case HeadNorm(over="each_head"):
            return Norm(spec.norm, heads, head_dim)
    return Norm(spec.norm, heads * head_dim)


#: What a gate of attention becomes before it multiplies.
_GATES: dict[str, Callable[[Tensor], Tensor]] = {"sigmoid": torch.sigmoid, "softplus": F.softplus}
