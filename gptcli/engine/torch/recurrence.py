"""Mixers that carry a state from token to token. Shapes: b batch, t time, h memories of a layer.

Sums and states are float32 whatever the model's dtype.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gptcli.engine.model.mixers import MemoryNorm, Recurrence, ShortConv
from gptcli.engine.state.forward_state import ForwardState
from gptcli.engine.torch.given import Given
from gptcli.engine.torch.memories import Tokens, remembered
from gptcli.engine.torch.scaled import scaled

#: What is added to the squared length of a query or key before it is divided by it.
_LENGTH_EPS = 1e-6


class Filter(nn.Module):
    """A causal convolution over the last `taps` tokens, feature by feature."""

    def __init__(self, features: int, taps: int, *, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(features, taps))
        self.bias = nn.Parameter(torch.empty(features)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(b, taps - 1 + t, features) → (b, t, features), float32."""
        bias = None if self.bias is None else self.bias.float()
        weight = self.weight.float()[:, None]
        return F.conv1d(x.mT, weight, bias, groups=len(weight)).mT


class ShortConvMixer(nn.Module):
    """See ShortConv. beside: attention stands in the same layer, whose heads are the layer's."""

    def __init__(self, spec: ShortConv, width: int, *, beside: bool = False) -> None:
        super().__init__()
        self.spec, self.beside = spec, beside
        self.value = nn.Linear(width, spec.inner, bias=spec.bias)
        self.before = nn.Linear(width, spec.inner, bias=spec.bias)
        self.after = nn.Linear(width, spec.inner, bias=spec.bias)
        self.value_filter = Filter(spec.inner, spec.taps, bias=spec.bias)
        self.out = nn.Linear(spec.inner, width, bias=spec.bias)

    def forward(self, x: Tensor, given: Given) -> Tensor:
        """(b, t, width) → (b, t, width). Points: "state" and "heads"."""
        kept, state, shown = given.kept, given.state, given.shown
        inputs, memory = kept.read()
        value = (self.before(x) * self.value(x)).float()
        inputs, seen = _with_inputs(inputs, value, state)
        if shown is not None and shown.wants("state", given.layer):
            squares = seen[:, 1:].square().sum(dim=-1)
            lengths = squares.unfold(1, self.spec.taps - 1, 1).sum(dim=-1).sqrt()
            given.show("state", lengths[:, :, None])
        gathered = self.after(x).float() * self.value_filter(seen)
        kept.write(inputs, memory)
        made = gathered.to(x.dtype)
        made = made if self.beside else given.passing("heads", made)
        return self.out(made)  # type: ignore[no-any-return]


class RecurrenceMixer(nn.Module):
    """See Recurrence. beside: as ShortConvMixer has it."""

    def __init__(self, spec: Recurrence, width: int, *, beside: bool = False) -> None:
        super().__init__()
        self.spec, self.beside = spec, beside
        for name, features in zip(("query", "key", "value"), spec.filtered, strict=True):
            self.add_module(name, nn.Linear(width, features, bias=spec.bias))
            self.add_module(f"{name}_filter", Filter(features, spec.taps, bias=spec.filter_bias))
        self.gate = nn.Linear(width, spec.inner, bias=spec.bias)
        self.step = nn.Linear(width, spec.heads, bias=spec.bias)
        self.step_bias = nn.Parameter(torch.empty(spec.heads))
        self.decay_log = nn.Parameter(torch.empty(spec.heads))
        delta = spec.rule == "delta"
        self.strength = nn.Linear(width, spec.heads, bias=spec.bias) if delta else None
        self.skip = None if delta else nn.Parameter(torch.empty(spec.heads))
        self.norm = None if spec.norm is None else GatedNorm(spec.norm, spec.inner)
        self.out = nn.Linear(spec.inner, width, bias=spec.out_bias)

    def forward(self, x: Tensor, given: Given) -> Tensor:
        """(b, t, width) → (b, t, width). Points: "state" and "heads"."""
        spec, kept, state, shown = self.spec, given.kept, given.state, given.shown
        inputs, memory = kept.read()
        names = ("query", "key", "value")
        new = [scaled(getattr(self, name)(x), spec.scale(i)) for i, name in enumerate(names)]
        inputs, seen = _with_inputs(inputs, torch.cat(new, dim=-1).float(), state)
        parts = seen.split(spec.filtered, dim=-1)
        query, key, value = (
            F.silu(getattr(self, f"{name}_filter")(part))
            for name, part in zip(names, parts, strict=True)
        )
        query, key = (part.unflatten(-1, (spec.key_heads, spec.key_dim)) for part in (query, key))
        value = value.unflatten(-1, (spec.heads, spec.value_dim))  # (b, t, h, value_dim)
        step = scaled(self.step(x).float(), spec.scale(4)) + self.step_bias.float()
        strength = step = F.softplus(step).clamp(*spec.steps)
        decay = -self.decay_log.float().exp() * step  # (b, t, h)
        if self.strength is not None:
            query, key = _of_length_one(query) * spec.key_dim**-0.5, _of_length_one(key)
            strength = self.strength(x).float().sigmoid()
        padding = _padding(state, x)
        if padding is not None:
            decay, strength = (each.masked_fill(padding, 0.0) for each in (decay, strength))
        by_key = (self._by_key(each, 2) for each in (value, decay, strength))
        corrects, memory = self.strength is not None, self._by_key(memory, 1)
        tokens = Tokens(query, key, *by_key)
        if shown is not None and shown.wants("state", given.layer):
            # Beside the pass, token by token: what is shown changes nothing by a bit.
            lengths, now = list[Tensor](), memory
            for t in range(x.size(1)):
                one = Tokens(*(each[:, t : t + 1] for each in tokens))
                now = remembered(one, now, corrects=corrects)[1]
                lengths.append(torch.linalg.matrix_norm(self._in_order(now, 1)))
            given.show("state", torch.stack(lengths, dim=1))
        read, memory = remembered(tokens, memory, corrects=corrects)
        read, memory = self._in_order(read, 2), self._in_order(memory, 1)
        kept.write(inputs, memory)
        if self.skip is not None:
            read = read + self.skip.float()[:, None] * value
        gate = scaled(self.gate(x).float(), spec.scale(3))
        read = read.flatten(2)
        gated = read * F.silu(gate) if self.norm is None else self.norm(read, gate)
        made = gated.to(x.dtype)
        made = made if self.beside else given.passing("heads", made)
        return scaled(self.out(made), spec.out_scale)

    def _by_key(self, x: Tensor, axis: int) -> Tensor:
        """Memories, at some axis, become heads of queries and keys and those of each of them."""
        shared = self.spec.heads // self.spec.key_heads
        parts = (shared, -1) if self.spec.by_turns else (-1, shared)
        apart: Tensor = x.unflatten(axis, parts)
        return apart.transpose(axis, axis + 1) if self.spec.by_turns else apart

    def _in_order(self, x: Tensor, axis: int) -> Tensor:
        """The other way."""
        return (x.transpose(axis, axis + 1) if self.spec.by_turns else x).flatten(axis, axis + 1)


class GatedNorm(nn.Module):
    """See MemoryNorm."""

    def __init__(self, spec: MemoryNorm, features: int) -> None:
        super().__init__()
        self.spec = spec
        self.weight = nn.Parameter(torch.empty(spec.size if spec.shared else features))

    def forward(self, x: Tensor, gate: Tensor) -> Tensor:
        """(b, t, features) of both, float32 → the same."""
        if self.spec.gate_first:
            x = x * F.silu(gate)
        groups = x.unflatten(-1, (-1, self.spec.size))
        weight = self.weight.float().view(-1, self.spec.size)
        x = (F.rms_norm(groups, (self.spec.size,), eps=self.spec.eps) * weight).flatten(-2)
        return x if self.spec.gate_first else x * F.silu(gate)


def _with_inputs(inputs: Tensor, new: Tensor, state: ForwardState) -> tuple[Tensor, Tensor]:
    """What to keep for the next tokens, and (b, taps - 1 + t, features) that these see."""
    seen = torch.cat((inputs, new), dim=1)
    kept, time = inputs.size(1), new.size(1)
    counts = state.taken(time)
    if min(counts) == time:
        return seen[:, time:].clone(), seen
    ends = torch.tensor(counts, device=new.device)[:, None] + torch.arange(kept, device=new.device)
    return seen.gather(1, ends[:, :, None].expand(-1, -1, seen.size(2))), seen


def _padding(state: ForwardState, x: Tensor) -> Tensor | None:
    """Which tokens are none, (b, t, 1), where some are."""
    time = x.size(1)
    counts = state.taken(time)
    if min(counts) == time:
        return None
    places = torch.arange(time, device=x.device)
    return (places >= torch.tensor(counts, device=x.device)[:, None])[:, :, None]


def _of_length_one(x: Tensor) -> Tensor:
    return x * torch.rsqrt((x * x).sum(dim=-1, keepdim=True) + _LENGTH_EPS)
