"""The block in which every token thinks alone: one MLP, or a few chosen from many."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gptcli.engine.model.spec import Activation, Experts, ModelSpec

#: The functions of an MLP, by their names.
ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "relu": F.relu,
    "relu_squared": lambda x: F.relu(x).square(),
    "silu": F.silu,
}


class MLP(nn.Module):
    """Widen, bend, narrow; gated where the spec says so."""

    def __init__(self, spec: ModelSpec, hidden: int) -> None:
        super().__init__()
        self.gate = nn.Linear(spec.width, hidden, bias=spec.mlp_bias) if spec.gated else None
        self.up = nn.Linear(spec.width, hidden, bias=spec.mlp_bias)
        self.down = nn.Linear(hidden, spec.width, bias=spec.mlp_bias)
        self.activation = ACTIVATIONS[spec.activation]
        self.limit, self.offset = spec.gate_limit, spec.up_offset

    def forward(self, x: Tensor) -> Tensor:
        """(…, width) → (…, width)."""
        up = self.up(x)
        if self.gate is None:
            return self.down(self.activation(up))  # type: ignore[no-any-return]
        gate = self.gate(x)
        if self.limit is not None:
            gate, up = gate.clamp(max=self.limit), up.clamp(-self.limit, self.limit)
        if self.offset:
            up = up + self.offset
        return self.down(self.activation(gate) * up)  # type: ignore[no-any-return]


class Mixture(nn.Module):
    """Each token goes through the few MLPs that a router chooses for it.

    Every expert keeps weights of its own instead of a slice of a stack: so they stay in the file
    as the system mapped it, and a step reads those that it uses and no others.
    """

    def __init__(self, spec: ModelSpec, experts: Experts) -> None:
        super().__init__()
        self.router = nn.Linear(spec.width, experts.count, bias=experts.router_bias)
        self.experts = nn.ModuleList(MLP(spec, experts.hidden) for _ in range(experts.count))
        self.chosen, self.normalised = experts.chosen, experts.normalised

    def forward(self, x: Tensor) -> Tensor:
        """(b, t, width) → (b, t, width)."""
        flat = x.flatten(0, 1)
        shares, chosen = self.route(flat)
        # Pairs of token and expert, sorted by expert: each expert runs once, on all its tokens.
        order = chosen.flatten().argsort(stable=True)
        tokens = order // self.chosen
        weights = shares.flatten()[order, None].to(x.dtype)
        counts = chosen.flatten().bincount(minlength=len(self.experts)).tolist()
        out = torch.zeros_like(flat)
        start = 0
        for expert, count in enumerate(counts):
            if count:
                part = tokens[start : start + count]
                made = self.experts[expert](flat[part]) * weights[start : start + count]
                out.index_add_(0, part, made)
                start += count
        return out.view_as(x)

    def route(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        """(tokens, width) → shares, float32, and the experts that they are of, (tokens, chosen)."""
        chances = self.router(flat).float().softmax(dim=-1)
        shares, chosen = chances.topk(self.chosen, dim=-1)
        if self.normalised:
            shares = shares / shares.sum(dim=-1, keepdim=True)
        return shares, chosen
