"""Attention over latents. Shapes: b batch, t time, h heads; see engine.model.latents."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gptcli.engine.model.latents import Latents
from gptcli.engine.model.layer_shape import LayerShape
from gptcli.engine.model.spec import ModelSpec
from gptcli.engine.torch.attention import attend
from gptcli.engine.torch.given import Given
from gptcli.engine.torch.rope import rotate


class OfHeads(nn.Module):
    """A matrix for each head, one below the other."""

    def __init__(self, heads: int, rows: int, columns: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(heads * rows, columns))
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        """(b, h or 1, t, columns) → (b, h, t, rows): each head by its own."""
        return x @ self.weight.view(self.heads, -1, self.weight.size(-1)).mT


class LatentAttention(nn.Module):
    """Every token gathers from the latents of the tokens it may see."""

    sinks = None

    def __init__(self, spec: ModelSpec, shape: LayerShape, latents: Latents) -> None:
        super().__init__()
        self.latents, self.scale = latents, spec.attention_scale
        heads, read = shape.heads, spec.width
        self.query_latent = self.query_latent_norm = None
        if latents.query_rank is not None:
            read = latents.query_rank
            self.query_latent = nn.Linear(spec.width, read, bias=latents.bias)
            self.query_latent_norm = nn.RMSNorm(read, latents.eps)
        self.query = nn.Linear(read, heads * (latents.plain + latents.turned), bias=False)
        self.latent = nn.Linear(spec.width, latents.key, bias=latents.bias)
        self.latent_norm = nn.RMSNorm(latents.rank, latents.eps)
        # Rows are features of a latent: the matrix that makes keys of latents, turned.
        self.absorb = OfHeads(heads, latents.rank, latents.plain)
        self.value = OfHeads(heads, latents.value, latents.rank)
        self.out = nn.Linear(heads * latents.value, spec.width, bias=spec.out_bias)

    def forward(self, x: Tensor, given: Given) -> Tensor:
        """(b, t, width) → (b, t, width). Points: "queries", "keys" as they are kept, "heads"."""
        sizes = self.latents
        read = x
        if self.query_latent is not None and self.query_latent_norm is not None:
            read = self.query_latent_norm(self.query_latent(x))
        queries = self.query(read).unflatten(-1, (self.absorb.heads, -1)).transpose(1, 2)
        plain, turned = queries.split((sizes.plain, sizes.turned), -1)
        latent, beside = self.latent(x)[:, None].split((sizes.rank, sizes.turned), -1)
        if given.turn is not None:
            turned, beside = rotate(turned, *given.turn), rotate(beside, *given.turn)
        key = torch.cat((self.latent_norm(latent), beside), -1)
        keys, _ = given.kept.append(key, key[..., :0], given.state.lengths)
        if given.probe is not None:
            given.show("queries", self.absorbed(plain, turned))
            given.show("keys", keys, given.begins)
        # To make keys and values of all latents costs a token alone far more than it saves.
        attend_ = self.attend_absorbed if x.size(1) == 1 else self.attend_expanded
        gathered = attend_(plain, turned, keys, given.mask)
        heads = given.passing("heads", gathered.transpose(1, 2).flatten(2))
        return self.out(heads)  # type: ignore[no-any-return]

    def absorbed(self, plain: Tensor, turned: Tensor) -> Tensor:
        """Queries as they meet what is kept, (b, h, t, rank + turned)."""
        return torch.cat((self.absorb(plain), turned), -1)

    def attend_absorbed(
        self, plain: Tensor, turned: Tensor, keys: Tensor, mask: Tensor | None
    ) -> Tensor:
        """(b, h, t, value): gather latents, and make a value of each."""
        queries = self.absorbed(plain, turned)
        latents = keys[..., : self.latents.rank]
        return self.value(attend(queries, keys, latents, mask, self.scale))  # type: ignore[no-any-return]

    def attend_expanded(
        self, plain: Tensor, turned: Tensor, keys: Tensor, mask: Tensor | None
    ) -> Tensor:
        """The same, obviously: every head has keys and values, made of all latents."""
        latents, beside = keys.split((self.latents.rank, self.latents.turned), -1)
        of_keys = self.absorb.weight.view(self.absorb.heads, self.latents.rank, -1)
        expanded = torch.cat((latents @ of_keys, beside.expand(-1, self.absorb.heads, -1, -1)), -1)
        queries = torch.cat((plain, turned), -1)
        return attend(queries, expanded, self.value(latents), mask, self.scale)
