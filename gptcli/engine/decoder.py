"""The one decoder that every family runs through: ids → residual stream → logits."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gptcli.engine.cache import KVCache
from gptcli.engine.layers import Layer, Norm, Probe
from gptcli.engine.rope import angles, inverse_frequencies
from gptcli.engine.spec import ModelSpec


class Table(nn.Module):
    """A row of features for every index: an embedding, or its reverse."""

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, width))


class Decoder(nn.Module):
    """Embedding, layers, final norm, unembedding, as the spec says."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.embedding = Table(spec.vocab, spec.width)
        self.positions = Table(spec.context, spec.width) if spec.learned_positions else None
        self.layers = nn.ModuleList(Layer(spec) for _ in range(spec.layers))
        self.final_norm = Norm(spec)
        self.unembedding = None if spec.tied else Table(spec.vocab, spec.width)

    def forward(
        self,
        ids: Tensor,
        cache: KVCache,
        counts: list[int] | None = None,
        probe: Probe | None = None,
    ) -> Tensor:
        """The residual stream after the last layer, (batch, time, width), before the final norm.

        ids: (batch, time), appended to `cache`, which must have room (`KVCache.reserve`).
        counts: how many ids of each row are real, where rows are padded on the right.
        Probe points: "embedding" (layer -1), the updates of each layer, "stream" after each layer.
        """
        time = ids.size(1)
        at = cache.positions(time, ids.device)
        stream = F.embedding(ids, self.embedding.weight)
        if self.positions is not None:
            # Padding may stand beyond the last position; what it computes is never read.
            stream = stream + F.embedding(
                at.clamp(max=self.spec.context - 1), self.positions.weight
            )
        if probe is not None:
            probe("embedding", -1, stream)
        turn = None
        if self.spec.rope is not None:
            frequencies = inverse_frequencies(self.spec.rope, ids.device)
            turn = angles(frequencies, at, stream.dtype)
        mask = visible(at, max(cache.lengths) + time, self.spec.window)
        for index, layer in enumerate(self.layers):
            stream = layer(stream, index, cache, mask, turn, probe)
            if probe is not None:
                probe("stream", index, stream)
        cache.advance([time] * ids.size(0) if counts is None else counts)
        return stream

    def logits(self, stream: Tensor) -> Tensor:
        """(…, width) → (…, vocab), float32: one number for each token, larger is likelier."""
        head = self.embedding if self.unembedding is None else self.unembedding
        return F.linear(self.final_norm(stream), head.weight).float()


def visible(at: Tensor, total: int, window: int | None) -> Tensor | None:
    """Which of `total` keys each query may see, (batch or 1, 1, time, total), True where it may.

    `at` holds the queries' positions, (time,) or (batch, time). None where no mask is needed: a
    single query that sees all, or queries that are all there is and see what is before them.
    """
    time = at.size(-1)
    unlimited = window is None or total <= window
    if at.dim() == 1 and unlimited and time in (1, total):
        return None
    keys = torch.arange(total, device=at.device)
    queries = at.unsqueeze(-1)
    seen = keys <= queries
    if window is not None:
        seen &= keys > queries - window
    return seen.unsqueeze(-3) if at.dim() == 2 else seen[None, None]
