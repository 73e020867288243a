"""What a forward of one token a row sees of rows in pages, where shapes stay as they are.

See `step_state`. Of the numbers of rows and pages there are few sizes; rows that are none are the
last one again, which computes the same and writes it to the same place.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gptcli.engine.arrays import Array, indices, namespace
from gptcli.engine.state.fixed_state import FixedState
from gptcli.engine.state.page_memory import NO_PAGE, LayerPages, gathered, scattered
from gptcli.engine.state.paged_state import PagedState

#: Pages of a row by which there come to be more.
_LEAST = 4


def room_of(state: PagedState) -> tuple[int, int]:
    """For how many rows, and pages of each, a step is made that fits `state.rows`: powers of two.

    They have their pages already.
    """
    widest = max(len(row.pages) for row in state.rows)
    return _power(len(state.rows)), max(_LEAST, _power(widest))


class PagedStepState(FixedState):
    """See FixedState. table: the rows' pages, (rows, pages)."""

    def __init__(self, state: PagedState, at: Array, table: Array) -> None:
        super().__init__(at)
        self.pages = table
        self._size = state.pool.size
        self.numbers = namespace(at).arange(at.shape[0], dtype=at.dtype, device=at.device)
        self.layers = [_StepPages(each, self) for each in state.pool.layers]
        self.arrays = _arrays_of(state)

    def fits(self, state: PagedState) -> bool:
        """Whether the pages stand where they stood when this was made."""
        found = _arrays_of(state)
        return all(one is other for one, other in zip(self.arrays, found, strict=True))

    def put(self, state: PagedState) -> None:
        """Have the pages of `state.rows`."""
        table = np.full(self.pages.shape, NO_PAGE, np.int64)
        for at, row in enumerate(state.rows):
            table[at, : len(row.pages)] = row.pages
        table[len(state.rows) :] = table[len(state.rows) - 1]
        self.pages[...] = indices(table, self.pages)

    def reach(self, time: int) -> int:
        """See ForwardState: over all the pages."""
        return int(self.pages.shape[1]) * self._size


class _StepPages:
    """See PagedLayer."""

    def __init__(self, pages: LayerPages, state: PagedStepState) -> None:
        self._pages, self._state = pages, state

    def append(self, key: Array, value: Array, _: Sequence[int]) -> tuple[Array, Array]:
        """See PagedLayer."""
        table, at = self._state.pages, self._state.at
        rows = self._state.numbers
        end = self._state.reach(1)
        for pages, new in ((self._pages.keys, key), (self._pages.values, value)):
            scattered(pages, table, at, rows, new[:, :, 0])
        keys, values = (
            gathered(pages, table, end) for pages in (self._pages.keys, self._pages.values)
        )
        return keys, values


def _arrays_of(state: PagedState) -> list[Array]:
    return [array for layer in state.pool.layers for array in (layer.keys, layer.values)]


def _power(count: int) -> int:
    return 1 << (count - 1).bit_length() if count > 1 else 1
