"""The KV cache: keys and values of every token so far, per layer, grown in steps."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from gptcli.engine.memory import LEAST_TOKENS
from gptcli.engine.spec import ModelSpec

#: Tokens by which the cache grows, so that a token costs no copy of the cache.
GROWTH = LEAST_TOKENS


class KVCache:
    """Keys and values of `batch` rows, each of its own length, up to `limit` tokens.

    Each layer holds two tensors of shape (batch, kv_heads, capacity, head_dim). Rows of unequal
    length are possible (`lengths`); rows of one length take a faster way through `append`.
    """

    def __init__(
        self,
        spec: ModelSpec,
        batch: int,
        *,
        device: torch.device,
        dtype: torch.dtype,
        limit: int | None = None,
    ) -> None:
        self.spec = spec
        self.limit = min(limit or spec.context, spec.context)
        self.lengths = [0] * batch
        #: Tokens per row that every layer has memory for.
        self.capacity = 0
        empty = torch.empty(batch, spec.kv_heads, 0, spec.head_dim, device=device, dtype=dtype)
        self.keys: list[Tensor] = [empty] * spec.layers
        self.values: list[Tensor] = [empty] * spec.layers

    @property
    def batch(self) -> int:
        """How many rows there are."""
        return len(self.lengths)

    @property
    def uniform(self) -> bool:
        """Whether all rows are equally long."""
        return len(set(self.lengths)) <= 1

    @property
    def bytes(self) -> int:
        """Bytes held on the device."""
        return sum(t.nbytes for t in (*self.keys, *self.values))

    def reserve(self, counts: list[int]) -> None:
        """Make room for `counts[row]` more tokens in each row, the rows padded to the largest.

        Raises ValueError beyond the limit: whoever calls has counted before, so that is a bug.
        """
        real = max(n + count for n, count in zip(self.lengths, counts, strict=True))
        if real > self.limit:
            raise ValueError(f"{real} tokens do not fit into a cache of {self.limit}")
        used = max(self.lengths)
        needed = used + max(counts)
        if needed <= self.capacity:
            return
        capacity = max(needed, min(-(-needed // GROWTH) * GROWTH, self.limit))
        # Layer by layer, so that only one layer is ever held twice. Zeros, not what memory held:
        # a masked NaN would still poison the sums of a short row.
        # An interruption may leave some layers grown: the next call then grows the others.
        for tensors in (self.keys, self.values):
            for layer, old in enumerate(tensors):
                if old.size(2) >= capacity:
                    continue
                grown = old.new_zeros(old.size(0), old.size(1), capacity, old.size(3))
                grown[:, :, :used] = old[:, :, :used]
                tensors[layer] = grown
        self.capacity = capacity

    def append(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store (batch, kv_heads, time, head_dim) after each row's end; give all keys and values.

        Lengths do not move: `advance` does that once all layers have stored theirs.
        """
        time = key.size(2)
        if self.uniform:
            start = self.lengths[0]
            end = start + time
            self.keys[layer][:, :, start:end] = key
            self.values[layer][:, :, start:end] = value
        else:
            end = max(self.lengths) + time
            at = self._slots(time, key.device)  # (batch, time)
            rows = torch.arange(self.batch, device=key.device)[:, None]
            # Indexing with the two index tensors apart puts them first: (batch, time, heads, dim).
            self.keys[layer][rows, :, at] = key.transpose(1, 2)
            self.values[layer][rows, :, at] = value.transpose(1, 2)
        return self.keys[layer][:, :, :end], self.values[layer][:, :, :end]

    def _slots(self, time: int, device: torch.device) -> Tensor:
        starts = torch.tensor(self.lengths, device=device)
        return starts[:, None] + torch.arange(time, device=device)

    def positions(self, time: int, device: torch.device) -> Tensor:
        """Where the next `time` tokens will stand: (time,) for equal rows, else (batch, time)."""
        if self.uniform:
            return torch.arange(self.lengths[0], self.lengths[0] + time, device=device)
        return self._slots(time, device)

    def advance(self, counts: list[int]) -> None:
        """Count the tokens that every layer has now stored, row by row."""
        self.lengths = [n + count for n, count in zip(self.lengths, counts, strict=True)]

    def truncate(self, length: int) -> None:
        """Forget every token of every row from position `length` on."""
        self.lengths = [min(n, length) for n in self.lengths]

    def select(self, rows: list[int]) -> None:
        """Keep these rows only, in this order; a row may be named more than once."""
        index = torch.tensor(rows, device=self.keys[0].device)
        self.lengths = [self.lengths[row] for row in rows]
        for tensors in (self.keys, self.values):
            for layer, old in enumerate(tensors):
                tensors[layer] = old.index_select(0, index)

    def picked(self, rows: list[int]) -> KVCache:
        """A new cache of these rows, as `select` would leave them; this one stays as it is."""
        other = copy.copy(self)
        other.keys, other.values = list(self.keys), list(self.values)
        other.select(rows)
        return other
