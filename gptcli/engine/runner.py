"""Prefill and decode: ids in, logits of the next token out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from gptcli.engine.cache import KVCache
from gptcli.engine.decoder import Decoder
from gptcli.engine.layers import Probe

#: Tokens of a prompt that go through the decoder at once. It bounds the memory of a prefill and
#: how long Ctrl-C waits, and is large enough to keep the matrix units busy.
CHUNK = 512
#: Positions of one text whose logits are held at once where all of them are wanted.
HEAD_ROWS = 128


class Runner:
    """A decoder on its device. `limit` is the context in use, at most the model's own."""

    def __init__(self, decoder: Decoder, limit: int | None = None) -> None:
        self.decoder = decoder
        self.spec = decoder.spec
        weight = decoder.embedding.weight
        self.device, self.dtype = weight.device, weight.dtype
        self.limit = min(limit or self.spec.context, self.spec.context)
        decoder.prepare(self.limit)

    def new_cache(self, batch: int = 1) -> KVCache:
        """An empty cache for `batch` rows."""
        return KVCache(self.spec, batch, device=self.device, dtype=self.dtype, limit=self.limit)

    @torch.inference_mode()
    def prefill(
        self,
        rows: Sequence[Sequence[int]],
        cache: KVCache,
        *,
        chunk: int = CHUNK,
        probe: Probe | None = None,
    ) -> Tensor:
        """Run prompts, one per row of the cache, none empty; logits after each, (batch, vocab).

        The head runs on the last position of each row only: over a whole prompt it would cost
        more memory than all else.
        """
        longest = max(len(row) for row in rows)
        last: list[Tensor | None] = [None] * len(rows)
        for start in range(0, longest, chunk):
            pieces = [row[start : start + chunk] for row in rows]
            counts = [len(piece) for piece in pieces]
            stream = self._forward(pieces, counts, cache, probe)
            for row, piece in enumerate(pieces):
                if piece and start + len(piece) == len(rows[row]):
                    last[row] = stream[row, len(piece) - 1]
        found = [stream for stream in last if stream is not None]
        return self.decoder.logits(torch.stack(found))

    @torch.inference_mode()
    def all_logits(
        self, row: Sequence[int], cache: KVCache, *, probe: Probe | None = None
    ) -> Tensor:
        """Logits after every token of one row, (time, vocab). Memory grows with both."""
        return self.decoder.logits(self._forward([row], [len(row)], cache, probe)[0])

    @torch.inference_mode()
    def logits_in_parts(
        self,
        row: Sequence[int],
        cache: KVCache,
        *,
        first: int = 0,
        chunk: int = CHUNK,
        rows: int = HEAD_ROWS,
    ) -> Iterator[Tensor]:
        """Logits after every token of one row from position `first` on, in order.

        Each part is (at most `rows`, vocab), so that memory does not grow with the text.
        """
        for start in range(0, len(row), chunk):
            piece = row[start : start + chunk]
            stream = self._forward([piece], [len(piece)], cache, None)[0]
            for at in range(max(first - start, 0), len(piece), rows):
                yield self.decoder.logits(stream[at : at + rows])

    @torch.inference_mode()
    def decode(self, ids: Sequence[int], cache: KVCache, *, probe: Probe | None = None) -> Tensor:
        """Append one id to every row of the cache; logits of what follows, (batch, vocab)."""
        stream = self._forward([[token] for token in ids], [1] * len(ids), cache, probe)
        return self.decoder.logits(stream[:, -1])

    @torch.inference_mode()
    def streams(self, rows: Sequence[Sequence[int]], cache: KVCache) -> Tensor:
        """Append ids to every row of the cache, some rows perhaps none; (batch, time, width).

        That is the residual stream, from which `Decoder.logits` makes logits; shorter rows are
        padded at their end, and what stands there means nothing.
        """
        return self._forward(rows, [len(row) for row in rows], cache, None)

    def _forward(
        self,
        pieces: Sequence[Sequence[int]],
        counts: list[int],
        cache: KVCache,
        probe: Probe | None,
    ) -> Tensor:
        widest = max(counts)
        padded = [[*piece, *[0] * (widest - len(piece))] for piece in pieces]
        cache.reserve(counts)
        ids = torch.tensor(padded, device=self.device)  # (batch, time)
        stream: Tensor = self.decoder(ids, cache, counts, probe)
        return stream
