"""The parts of a transformer layer. Shapes: b batch, t time, h heads, d head_dim."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gptcli.engine.model.mixers import Recurrence
from gptcli.engine.model.rotations import Temperature
from gptcli.engine.model.spec import HeadNorm, LayerSpec, ModelSpec, NormSpec
from gptcli.engine.probe import Probe
from gptcli.engine.state.forward_state import ForwardState
from gptcli.engine.torch.attention import attend, attend_written_out
from gptcli.engine.torch.latents import LatentAttention
from gptcli.engine.torch.mlp import MLP, Mixture
from gptcli.engine.torch.recurrence import RecurrenceMixer, ShortConvMixer
from gptcli.engine.torch.rope import Rotation, rotate
from gptcli.engine.torch.scaled import scaled


class Norm(nn.Module):
    """A norm over the last axis, with a weight for each feature, or for each of some heads."""

    def __init__(self, spec: NormSpec, *shape: int) -> None:
        super().__init__()
        self.spec = spec
        self.weight = None if spec.weightless else nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.empty(shape)) if spec.bias else None
        self.fused = spec.weightless or (len(shape) == 1 and not spec.offset)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape in and out."""
        over, eps = x.shape[-1:], self.spec.eps
        if self.fused or self.weight is None:
            if self.spec.kind == "rmsnorm":
                return F.rms_norm(x, over, self.weight, eps)
            return F.layer_norm(x, over, self.weight, self.bias, eps)
        kernel = F.rms_norm if self.spec.kind == "rmsnorm" else F.layer_norm
        weight = self.weight.float()
        normed = kernel(x.float(), over, eps=eps) * (1 + weight if self.spec.offset else weight)
        if self.bias is not None:
            normed = normed + self.bias.float()
        return normed.to(x.dtype)


class Attention(nn.Module):
    """Every token gathers values from the tokens it may see, by how its query meets their keys."""

    def __init__(self, spec: ModelSpec, this: LayerSpec) -> None:
        super().__init__()
        shape = this.shape or spec.shape
        self.spec, self.head_dim, self.temperature = spec, shape.head_dim, this.temperature
        inner, shared = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
        self.query = nn.Linear(spec.width, inner, bias=spec.qkv_bias)
        self.key = nn.Linear(spec.width, shared, bias=spec.qkv_bias)
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
        self.key_norm = _head_norm(norm, shape.kv_heads, shape.head_dim)
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
        probe: Probe | None = None,
    ) -> Tensor:
        """(b, t, width) → (b, t, width). Probe points: "queries" and "keys"."""
        norms = self.query_norm, self.key_norm
        before, behind = ((None, None), norms) if self.norm_after_rope else (norms, (None, None))
        q = self._heads(self.query(x), before[0])  # (b, h, t, d)
        k = self._heads(self.key(x), before[1])  # (b, kv_heads, t, d)
        v = self._heads(self.value(x), None)
        if turn is not None:
            q, k = rotate(q, *turn), rotate(k, *turn)
        q, k = self._normed(q, behind[0]), self._normed(k, behind[1])
        if self.temperature is not None:
            q = q * _sharpening(self.temperature, state.positions(x.size(1), x.device)).to(q.dtype)
        keys, values = state.layers[layer].append(k, v, state.lengths)
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
        return scaled(self.out(gathered.flatten(2)), self.spec.attention_out_scale)

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
        self.attention: Attention | LatentAttention | None = None
        if this.attends and spec.latents is not None:
            self.attention = LatentAttention(spec, shape, spec.latents)
        elif this.attends:
            self.attention = Attention(spec, this)
        self.mixer = _mixer(spec, this)
        self.attention_post_norm = Norm(spec.norm, spec.width) if after and mixes else None
        self.mlp_norm = Norm(spec.norm, spec.width) if before and thinks and not one else None
        self.mlp: nn.Module | None = None
        if thinks and this.mixture and spec.experts is not None:
            self.mlp = Mixture(spec, spec.experts)
        elif thinks:
            self.mlp = MLP(spec, shape.hidden)
        self.mlp_post_norm = Norm(spec.norm, spec.width) if after and thinks else None

    def forward(
        self,
        stream: Tensor,
        layer: int,
        state: ForwardState,
        mask: Tensor | None,
        turn: Rotation | None,
        probe: Probe | None,
    ) -> Tensor:
        """(b, t, width) → (b, t, width). Probe points: Attention's, "state", "attention", "mlp".

        "attention" is also what a mixer adds that stands in its place, or with it what one beside.
        """
        before, read = stream, stream
        if self.attention is not None or self.mixer is not None:
            read = stream if self.attention_norm is None else self.attention_norm(stream)
            update = self._finished(
                self._mixed(read, layer, state, mask, turn, probe), self.attention_post_norm
            )
            if probe is not None:
                probe("attention", layer, update, state.lengths[0])
            stream = stream + update
        if self.mlp is None:
            return stream
        if self.spec.blocks != "parallel_one_norm":
            source = stream if self.spec.blocks == "serial" else before
            read = source if self.mlp_norm is None else self.mlp_norm(source)
        update = self._finished(self.mlp(read), self.mlp_post_norm)
        if probe is not None:
            probe("mlp", layer, update, state.lengths[0])
        return stream + update

    def _mixed(
        self,
        read: Tensor,
        layer: int,
        state: ForwardState,
        mask: Tensor | None,
        turn: Rotation | None,
        probe: Probe | None,
    ) -> Tensor:
        """What attention and a mixer say, where both are there together."""
        said: list[Tensor] = []
        if self.attention is not None:
            said.append(self.attention(read, layer, state, mask, turn, probe))
        if self.mixer is not None:
            said.append(self.mixer(read, layer, state, probe))
        return sum(said[1:], said[0])

    def _finished(self, update: Tensor, norm: Norm | None) -> Tensor:
        if norm is not None:
            update = norm(update)
        return scaled(update, self.spec.residual_scale)
