"""The KV cache: keys and values of every token so far, per layer, grown in steps.

Of numpy or torch, as its owner computes; numpy holds bfloat16 as the uint16 of its bits.
"""

from __future__ import annotations

import copy
from typing import Any

from gptcli.engine.arrays import Array, indices, namespace, zeros
from gptcli.engine.host.memory import LEAST_TOKENS
from gptcli.engine.model.spec import ModelSpec

#: Tokens by which the cache grows, so that a token costs no copy of the cache.
GROWTH = LEAST_TOKENS


class KVCache:
    """Keys and values of `batch` rows, each of its own length, up to `limit` tokens.

    Each layer holds two arrays of shape (batch, kv_heads, capacity, head_dim). Rows of unequal
    length are possible (`lengths`); rows of one length take a faster way through `append`.
    like: an array of the kind, the dtype and on the device that keys and values are to have.
    block: the tokens whose keys are kept together and moved whole; a capacity has whole blocks.
    """

    def __init__(
        self,
        spec: ModelSpec,
        batch: int,
        like: Array,
        *,
        limit: int | None = None,
        block: int = 1,
    ) -> None:
        self.spec = spec
        self.limit = min(limit or spec.context, spec.context)
        self._block = block
        self.lengths = [0] * batch
        #: Tokens per row that every layer has memory for.
        self.capacity = 0
        empty = namespace(like).empty(
            (batch, spec.kv_heads, 0, spec.head_dim), dtype=like.dtype, device=like.device
        )
        self.keys: list[Array] = [empty] * spec.layers
        self.values: list[Array] = [empty] * spec.layers

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
        capacity = _up(max(needed, min(_up(needed, GROWTH), self.limit)), self._block)
        kept = _up(used, self._block)
        # Layer by layer, so that only one layer is ever held twice. Zeros, not what memory held:
        # a masked NaN would still poison the sums of a short row.
        # An interruption may leave some layers grown: the next call then grows the others.
        for held in (self.keys, self.values):
            for layer, old in enumerate(held):
                if old.shape[2] >= capacity:
                    continue
                shape = (*old.shape[:2], capacity, old.shape[3])
                grown = zeros(shape, old)
                grown[:, :, :kept] = old[:, :, :kept]
                held[layer] = grown
        self.capacity = capacity

    def append(self, layer: int, key: Array, value: Array) -> tuple[Array, Array]:
        """Store (batch, kv_heads, time, head_dim) after each row's end; give all keys and values.

        Lengths do not move: `advance` does that once all layers have stored theirs.
        """
        time = key.shape[2]
        if self.uniform:
            start = self.lengths[0]
            end = start + time
            self.keys[layer][:, :, start:end] = key
            self.values[layer][:, :, start:end] = value
        else:
            end = max(self.lengths) + time
            at = self._slots(time, key.device)  # (batch, time)
            rows = indices(range(self.batch), key)[:, None]
            # Indexing with the two index arrays apart puts them first: (batch, time, heads, dim).
            self.keys[layer][rows, :, at] = key.swapaxes(1, 2)
            self.values[layer][rows, :, at] = value.swapaxes(1, 2)
        return self.keys[layer][:, :, :end], self.values[layer][:, :, :end]

    def _slots(self, time: int, device: Any) -> Array:
        xp = namespace(self.keys[0])
        starts = xp.asarray(self.lengths, dtype=xp.int64, device=device)
        return starts[:, None] + xp.arange(time, dtype=xp.int64, device=device)

    def positions(self, time: int, device: Any) -> Array:
        """Where the next `time` tokens will stand: (time,) for equal rows, else (batch, time)."""
        if self.uniform:
            xp, start = namespace(self.keys[0]), self.lengths[0]
            return xp.arange(start, start + time, dtype=xp.int64, device=device)
        return self._slots(time, device)

    def advance(self, counts: list[int]) -> None:
        """Count the tokens that every layer has now stored, row by row."""
        self.lengths = [n + count for n, count in zip(self.lengths, counts, strict=True)]

    def truncate(self, length: int) -> None:
        """Forget every token of every row from position `length` on."""
        self.lengths = [min(n, length) for n in self.lengths]

    def select(self, rows: list[int]) -> None:
        """Keep these rows only, in this order; a row may be named more than once."""
        xp, index = namespace(self.keys[0]), indices(rows, self.keys[0])
        self.lengths = [self.lengths[row] for row in rows]
        for held in (self.keys, self.values):
            for layer, old in enumerate(held):
                held[layer] = xp.take(old, index, axis=0)

    def picked(self, rows: list[int]) -> KVCache:
        """A new cache of these rows, as `select` would leave them; this one stays as it is."""
        other = copy.copy(self)
        other.keys, other.values = list(self.keys), list(self.values)
        other.select(rows)
        return other


def _up(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple
