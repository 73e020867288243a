"""The block in which every token thinks alone: one MLP, or a few chosen from many."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gptcli.engine.model.experts import Experts, Groups
from gptcli.engine.model.spec import Activation, ModelSpec
from gptcli.engine.torch.given import Given
from gptcli.engine.torch.joined import Joined, joined
from gptcli.engine.torch.norm import Norm
from gptcli.engine.torch.scaled import scaled

#: The functions of an MLP, by their names.
ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "relu": F.relu,
    "relu_squared": lambda x: F.relu(x).square(),
    "silu": F.silu,
}
#: What shares are divided by at the least: sigmoids may all be 0.
LEAST_SUM = 1e-20


class MLP(nn.Module):
    """Widen, bend, narrow; gated where the spec says so."""

    def __init__(self, spec: ModelSpec, hidden: int, width: int | None = None) -> None:
        """Width: of what it reads and says, by default the stream's."""
        super().__init__()
        width = width or spec.width
        self.gate = nn.Linear(width, hidden, bias=spec.mlp_bias) if spec.gated else None
        self.up = nn.Linear(width, hidden, bias=spec.mlp_bias)
        self.down = nn.Linear(hidden, width, bias=spec.mlp_bias)
        self.activation = ACTIVATIONS[spec.activation]
        self.limit, self.offset = spec.gate_limit, spec.up_offset
        self.gate_scale, self.out_scale = spec.gate_scale, spec.mlp_out_scale
        self._joined: Joined | None = None

    def join(self) -> None:
        """From now on widen by gate and up together. Weights must stay what they are."""
        self._joined = None if self.gate is None else joined(self.gate, self.up)

    def forward(self, x: Tensor, share: Tensor | None = None) -> Tensor:
        """(…, width) → (…, width). share: what x is multiplied by first, where there is no bias."""
        if self._joined is not None and share is None:
            gate, up = self._joined(x).split(self._joined.sizes, dim=-1)
        else:
            up = self.up(x) if share is None else self.up(x) * share
            if self.gate is None:
                return scaled(self.down(self.activation(up)), self.out_scale)
            gate = self.gate(x) if share is None else self.gate(x) * share
        gate = scaled(gate, self.gate_scale)
        if self.limit is not None:
            gate, up = gate.clamp(max=self.limit), up.clamp(-self.limit, self.limit)
        if self.offset:
            up = up + self.offset
        return scaled(self.down(self.activation(gate) * up), self.out_scale)


class Mixture(nn.Module):
    """Each token goes through the few MLPs that a router chooses for it.

    Every expert keeps weights of its own instead of a slice of a stack: so they stay in the file
    as the system mapped it, and a step reads those that it uses and no others.
    """

    def __init__(self, spec: ModelSpec, experts: Experts) -> None:
        super().__init__()
        self.spec = experts
        width, hidden, count = experts.latent or spec.width, experts.hidden, experts.count
        self.router = nn.Linear(spec.width, count, bias=experts.router_bias)
        self.correction = nn.Parameter(torch.empty(count)) if experts.correction else None
        self.experts = nn.ModuleList(MLP(spec, hidden, width) for _ in range(count))
        self.latent_in = self.latent_out = None
        if experts.latent is not None:
            self.latent_in = nn.Linear(spec.width, width, bias=spec.mlp_bias)
            self.latent_out = nn.Linear(width, spec.width, bias=spec.mlp_bias)
        shared = experts.shared
        self.shared = None if shared is None else MLP(spec, shared.hidden)
        gated = shared is not None and shared.gated
        self.shared_gate = nn.Linear(spec.width, 1, bias=False) if gated else None
        if experts.apart:
            self.router_norm = Norm(spec.norm, spec.width)
            self.experts_norm = Norm(spec.norm, spec.width)
            self.experts_post_norm = Norm(spec.norm, spec.width)
            self.shared_post_norm = Norm(spec.norm, spec.width)
            self.expert_scales = nn.Parameter(torch.empty(count))

    def forward(
        self, x: Tensor, stream: Tensor | None = None, given: Given | None = None
    ) -> Tensor:
        """What an MLP reads, and the stream that it is of, (b, t, width) each → (b, t, width).

        Point: "shares".
        """
        flat = asked = read = x.flatten(0, 1)
        if self.spec.apart:
            assert stream is not None
            apart = stream.flatten(0, 1)
            asked = self.router_norm(apart) * apart.size(-1) ** -0.5
            read = self.experts_norm(apart)
        shares, chosen = self.route(asked)
        if given is not None:
            shares = self._passing(shares, chosen, x, given)
        out = self._chosen(read if self.latent_in is None else self.latent_in(read), shares, chosen)
        if self.latent_out is not None:
            out = self.latent_out(out)
        if self.shared is not None:
            beside = self.shared(flat)
            if self.spec.apart:
                out, beside = self.experts_post_norm(out), self.shared_post_norm(beside)
            gate = self.shared_gate
            out = out + (beside if gate is None else torch.sigmoid(gate(flat)) * beside)
        return out.view_as(x)

    def _passing(self, shares: Tensor, chosen: Tensor, x: Tensor, given: Given) -> Tensor:
        """Shares (tokens, chosen) as they go on: changed, and shown."""
        count = len(self.experts)
        if given.changes is not None:
            by = given.changes.factors(given.layer, x, count, given.state)
            shares = shares if by is None else shares * by.flatten(0, 1).gather(-1, chosen)
        if given.shown is not None:
            every = shares.new_zeros((len(shares), count)).scatter(-1, chosen, shares)
            given.show("shares", every.view(*x.shape[:2], count))
        return shares

    def _chosen(self, flat: Tensor, shares: Tensor, chosen: Tensor) -> Tensor:
        """What the chosen experts say together, of and in as many features as they read."""
        # Pairs of token and expert, sorted by expert: each expert runs once, on all its tokens.
        order = chosen.flatten().argsort(stable=True)
        tokens = order // self.spec.chosen
        weights = shares.flatten()[order, None].to(flat.dtype)
        counts = chosen.flatten().bincount(minlength=len(self.experts)).tolist()
        out = torch.zeros_like(flat)
        start = 0
        for expert, count in enumerate(counts):
            if count:
                end = start + count
                part, share = tokens[start:end], weights[start:end]
                if self.spec.on_input:
                    made = self.experts[expert](flat[part], share)
                else:
                    made = self.experts[expert](flat[part]) * share
                out.index_add_(0, part, made)
                start = end
        return out

    def route(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        """(tokens, width) → shares, float32, and the experts that they are of, (tokens, chosen)."""
        cap = self.spec.router_softcap
        scores = self.router(flat.to(self._router_dtype)).float()
        if cap is not None:
            scores = cap * torch.tanh(scores / cap)
        sigmoid = self.spec.score == "sigmoid"
        chances = scores.sigmoid() if sigmoid else scores.softmax(dim=-1)
        chosen = self.choose(chances)
        shares = chances.gather(-1, chosen)
        if self.spec.normalised:
            shares = shares / shares.sum(dim=-1, keepdim=True).clamp(min=LEAST_SUM)
        shares = shares * self.spec.scale
        return (shares * self.expert_scales[chosen] if self.spec.apart else shares), chosen

    def choose(self, chances: Tensor) -> Tensor:
        """(tokens, experts) → the experts that run, (tokens, chosen)."""
        ranks = chances if self.correction is None else chances + self.correction
        if self.spec.groups is not None:
            ranks = ranks.masked_fill(~_in_best_groups(ranks, self.spec.groups), -torch.inf)
        return ranks.topk(self.spec.chosen, dim=-1).indices

    @property
    def _router_dtype(self) -> torch.dtype:
        """Float32 where the router's weights stay that, see Rule.exact; else the model's."""
        return next(self.router.parameters()).dtype


def _in_best_groups(ranks: Tensor, groups: Groups) -> Tensor:
    """(tokens, experts) → the same shape, true where an expert is in a group that is chosen."""
    by_group = ranks.unflatten(-1, (groups.count, -1))
    best = by_group.topk(groups.best, dim=-1).values.sum(dim=-1)
    chosen = torch.zeros_like(best, dtype=torch.bool)
    chosen.scatter_(-1, best.topk(groups.chosen, dim=-1).indices, True)
    return chosen[..., None].expand_as(by_group).flatten(-2)
