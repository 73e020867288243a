"""The parts of a transformer layer. Shapes: b batch, t time, h heads, d head_dim."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gptcli.engine.model.mixers import Recurrence
from gptcli.engine.model.rotations import Temperature
from gptcli.engine.model.spec import HeadNorm, LayerSpec, ModelSpec
from gptcli.engine.probe import Probe
from gptcli.engine.state.forward_state import ForwardState
from gptcli.engine.torch.attention import attend, attend_written_out
from gptcli.engine.torch.layer_inputs import Told
from gptcli.engine.torch.mlp import MLP, Mixture
from gptcli.engine.torch.norm import Norm
from gptcli.engine.torch.recurrence import RecurrenceMixer, ShortConvMixer
from gptcli.engine.torch.rope import Rotation, rotate


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

    def forward(
        self,
        x: Tensor,
        layer: int,
        state: ForwardState,
        mask: Tensor | None,
        turn: Rotation | None,
        lent: Lent,
        probe: Probe | None = None,
    ) -> Tensor:
        """(b, t, width) → (b, t, width). Probe points: "queries" and "keys"."""
        q = self._placed(self.query(x), self.query_norm, turn)  # (b, h, t, d)
        if self.temperature is not None:
            q = q * _sharpening(self.temperature, state.positions(x.size(1), x.device)).to(q.dtype)
        if self.reads is None:
            keys, values = state.layers[layer].append(*self._kept(x, turn), state.lengths)
            if layer in lent:
                lent[layer] = keys, values
        else:
            keys, values = lent[self.reads]
        if probe is not None:
            probe("queries", layer, q, state.lengths[0])
            probe("keys", layer, keys, 0)
        scale = self.spec.attention_scale
        if self.written_out:
            softcap = self.spec.attention_softcap
            gathered = attend_written_out(
                q, keys, values, mask, scale, softcap=softcap, sinks=self.sinks
            )
        else:
            gathered = attend(q, keys, values, mask, scale)
        gathered = gathered.transpose(1, 2)  # (b, t, h, d)
        if self.gate is not None:
            gate = self.gate_activation(self.gate(x))
            gathered = gathered * gate.view(*gathered.shape[:3], -1)
        return self.out(gathered.flatten(2))  # type: ignore[no-any-return]

    def _kept(self, x: Tensor, turn: Rotation | None) -> tuple[Tensor, Tensor]:
        """Keys and values of tokens, (b, kv_heads, t, d) each."""
        assert self.key is not None
        projected = self.key(x)
        values = self._heads(projected if self.value is None else self.value(x), None)
        if self.spec.value_norm is not None:
            values = F.rms_norm(values, values.shape[-1:], eps=self.spec.value_norm)
        return self._placed(projected, self.key_norm, turn), values

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


#: Keys and values of the layers whose others read, by layer; what is None is not there yet.
Lent = dict[int, Any]


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


def _mixer(spec: ModelSpec, this: LayerSpec) -> nn.Module | None:
    if this.mixer is None:
        return None
    if isinstance(this.mixer, Recurrence):
        return RecurrenceMixer(this.mixer, spec.width)
    return ShortConvMixer(this.mixer, spec.width)


class Layer(nn.Module):
    """What mixes tokens, and MLP; each that is there reads the stream and adds its update to it."""

    def __init__(self, spec: ModelSpec, this: LayerSpec) -> None:
        super().__init__()
        before, after = spec.norms in ("before", "both"), spec.norms in ("after", "both")
        one = spec.blocks == "parallel_one_norm"
        shape = this.shape or spec.shape
        self.spec = spec
        mixes, thinks = this.mixes, this.thinks
        self.attention_norm = Norm(spec.norm, spec.width) if before and mixes else None
        self.attention = Attention(spec, this) if this.attends else None
        self.mixer = _mixer(spec, this)
        self.attention_post_norm = Norm(spec.norm, spec.width) if after and mixes else None
        self.mlp_norm = Norm(spec.norm, spec.width) if before and thinks and not one else None
        self.mlp: nn.Module | None = None
        if thinks and this.mixture and spec.experts is not None:
            self.mlp = Mixture(spec, spec.experts)
        elif thinks:
            self.mlp = MLP(spec, shape.hidden)
        self.mlp_post_norm = Norm(spec.norm, spec.width) if after and thinks else None
        told = spec.layer_inputs
        self.told = None if told is None else Told(spec, told)
        self.scale = nn.Parameter(torch.empty(1)) if spec.layer_scales else None

    def forward(
        self,
        stream: Tensor,
        layer: int,
        state: ForwardState,
        mask: Tensor | None,
        turn: Rotation | None,
        lent: Lent,
        told: Tensor | None,
        probe: Probe | None,
    ) -> Tensor:
        """(b, t, width) → (b, t, width). Probe points: Attention's, "attention", "mlp" and "told".

        "attention" is also what a mixer adds that stands in its place. told: (b, t, size), see
        LayerInputs.
        """
        stream = self._blocks(stream, layer, state, mask, turn, lent, probe)
        if self.told is not None and told is not None:
            update = self.told(stream, told)
            if probe is not None:
                probe("told", layer, update, state.lengths[0])
            stream = stream + update
        return stream if self.scale is None else stream * self.scale

    def _blocks(
        self,
        stream: Tensor,
        layer: int,
        state: ForwardState,
        mask: Tensor | None,
        turn: Rotation | None,
        lent: Lent,
        probe: Probe | None,
    ) -> Tensor:
        before, read = stream, stream
        if self.attention is not None or self.mixer is not None:
            read = stream if self.attention_norm is None else self.attention_norm(stream)
            if self.attention is not None:
                update = self.attention(read, layer, state, mask, turn, lent, probe)
            elif self.mixer is not None:
                update = self.mixer(read, layer, state)
            update = self._finished(update, self.attention_post_norm)
            if probe is not None:
                probe("attention", layer, update, state.lengths[0])
            stream = stream + update
        if self.mlp is None:
            return stream
        source = stream if self.spec.blocks == "serial" else before
        if self.spec.blocks != "parallel_one_norm":
            read = source if self.mlp_norm is None else self.mlp_norm(source)
        thought = self.mlp(read, source) if isinstance(self.mlp, Mixture) else self.mlp(read)
        update = self._finished(thought, self.mlp_post_norm)
        if probe is not None:
            probe("mlp", layer, update, state.lengths[0])
        return stream + update

    def _finished(self, update: Tensor, norm: Norm | None) -> Tensor:
        if norm is not None:
            update = norm(update)
        return update if self.spec.residual_scale == 1.0 else update * self.spec.residual_scale
