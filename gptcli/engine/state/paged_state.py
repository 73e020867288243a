"""The rows of a forward whose keys and values stand in pages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.arrays import Array, indices
from gptcli.engine.model.spec import ModelSpec
from gptcli.engine.state.forward_state import ForwardState
from gptcli.engine.state.pages import (
    NO_PAGE,
    PAGE,
    LayerPages,
    PagedRow,
    PagePool,
    gathered,
    scattered,
)

#: What share of the pages stays that no row has.
_IDLE = 8


class PagedState(ForwardState):
    """See ForwardState. `rows` may be others at each forward; `limit`: tokens of a row at most.

    The pool's pages are those of the layers; a table says which are whose.
    """

    def __init__(
        self, spec: ModelSpec, like: Array, *, limit: int, pages: int, size: int = PAGE
    ) -> None:
        self._like = like
        self.limit = limit
        # Of what nobody has, the longest text there can be, or an eighth of all.
        idle = max(-(-limit // size), pages // _IDLE)
        self.pool = PagePool(spec.shapes, like, pages, size, idle=idle)
        self.layers = [PagedLayer(layer, self) for layer in self.pool.layers]
        self.rows: list[PagedRow] = []
        self.under_way: list[int] | None = None
        self._table: NDArray[np.int32] = np.empty((0, 1), np.int32)

    @property
    def lengths(self) -> Sequence[int]:
        """See ForwardState."""
        return [row.length for row in self.rows]

    @property
    def table(self) -> NDArray[np.int32]:
        """See ForwardState. Where a row has none, also where it is padded, stands NO_PAGE."""
        return self._table

    def reserve(self, counts: list[int]) -> None:
        """See ForwardState. Raises NoPagesError; what was taken by then stays with the rows."""
        for row, count in zip(self.rows, counts, strict=True):
            if row.length + count > self.limit:
                raise ValueError(f"{row.length + count} tokens, where {self.limit} are the limit")
            while len(row.pages) * self.pool.size < row.length + count:
                row.pages.append(self.pool.take())
        widest = -(-(max(self.lengths) + max(counts)) // self.pool.size)
        self._table = np.full((len(self.rows), widest), NO_PAGE, np.int32)
        for at, row in enumerate(self.rows):
            pages = row.pages[:widest]
            self._table[at, : len(pages)] = pages
        self.under_way = counts

    def advance(self, counts: list[int]) -> None:
        """See ForwardState."""
        for row, count in zip(self.rows, counts, strict=True):
            row.length += count
        self.under_way = None


class PagedLayer:
    """See LayerState: what a layer's attention does with keys and values that stand in pages."""

    def __init__(self, pages: LayerPages, state: PagedState) -> None:
        self._pages, self._state = pages, state

    @property
    def keys(self) -> Array:
        """All pages, (pages, kv_heads, size, head_dim)."""
        return self._pages.keys

    @property
    def values(self) -> Array:
        """The same of values."""
        return self._pages.values

    def append(self, key: Array, value: Array, lengths: Sequence[int]) -> tuple[Array, Array]:
        """Store (rows, kv_heads, time, head_dim) after each row's end; give all keys and values.

        Padding is not stored: no row has a page for it.
        """
        time = key.shape[2]
        counts = self._state.under_way or [time] * len(lengths)
        places = [(row, at) for row, count in enumerate(counts) for at in range(count)]
        rows, steps = (indices([place[i] for place in places], key) for i in (0, 1))
        starts = indices(lengths, key)
        table = indices(self._state.table, key)
        for pages, new in ((self._pages.keys, key), (self._pages.values, value)):
            scattered(pages, table, starts[rows] + steps, rows, new[rows, :, steps])
        end = max(lengths) + time
        keys, values = (
            gathered(pages, table, end) for pages in (self._pages.keys, self._pages.values)
        )
        return keys, values
