"""The rows of a forward whose keys and values stand in pages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.arrays import Array, indices, namespace
from gptcli.engine.model.spec import ModelSpec
from gptcli.engine.state.forward_state import ForwardState
from gptcli.engine.state.joint_state import Joint
from gptcli.engine.state.model_state import NOTHING
from gptcli.engine.state.near_pages import NearPages
from gptcli.engine.state.page_memory import NO_PAGE, PAGE, LayerPages, gathered, scattered
from gptcli.engine.state.pages import PagedRow, PagePool
from gptcli.engine.state.slots import LayerSlots, SlotPool

#: What share of the pages stays that no row has.
_IDLE = 8
#: How many states of mixers are kept to begin rows with, and their bytes.
_LEAST_KEPT, _MOST_KEPT, _KEPT_BYTES = 4, 64, 512 << 20
#: Rows for all of which there is room where layers do not see all.
_ROWS = 64


def kept_states(spec: ModelSpec) -> int:
    """How many states stay at most that no row has, to begin others with."""
    if not spec.row_bytes:
        return 0
    return _kept(spec.row_bytes)


def _kept(size: int) -> int:
    """How many of so many bytes stay that nobody has."""
    return max(_LEAST_KEPT, min(_MOST_KEPT, _KEPT_BYTES // size))


def near_pages(spec: ModelSpec, limit: int, size: int = PAGE) -> int:
    """How many pages are enough for the layers that do not see all: 0 where they have none."""
    layers = [spec.each_layer[at].held(limit) for at in spec.near(limit)]
    return _ROWS * (max(layers) // size + 1) if layers else 0


def pages_in(spec: ModelSpec, itemsize: int, room: int, limit: int) -> int:
    """How many pages of all layers, and as many as are enough of those that do not see all, have
    room in so many bytes.
    """
    kept, near = spec.kept(itemsize), spec.near(limit)
    each = PAGE * sum(kept[at] for at in near)
    most = near_pages(spec, limit)
    both = room // max(1, PAGE * sum(kept))
    if both <= most:
        return both
    other = PAGE * sum(kept) - each
    # Where no layer sees all, pages of the others only have names.
    return (room - most * each) // other if other else most * (-(-limit // PAGE))


class PagedState(ForwardState):
    """See ForwardState. `rows` may be others at each forward; `limit`: tokens of a row at most.

    The pool's pages are those of the layers; a table says which are whose. group: see `new_state`.
    """

    def __init__(
        self,
        spec: ModelSpec,
        like: Array,
        *,
        limit: int,
        pages: int,
        size: int = PAGE,
        group: int = 1,
    ) -> None:
        self._like = like
        self.limit = limit
        # Of what nobody has, the longest text there can be, or an eighth of all.
        idle = max(-(-limit // size), pages // _IDLE)
        mixers = [each.mixer for each in spec.each_layer if each.mixer is not None]
        slots = None
        if mixers:
            slots = SlotPool(mixers, like, kept=kept_states(spec), multiple=group)
        beside = spec.near(limit)
        near = _near(spec, like, limit, pages, size) if beside else None
        every = enumerate(zip(spec.each_layer, spec.shapes, strict=True))
        shapes = [
            shape if each.keeps and at not in beside else NOTHING for at, (each, shape) in every
        ]
        self.pool = PagePool(shapes, like, pages, size, idle=idle, slots=slots, near=near)
        windows = iter(near.memory.layers if near is not None else ())
        states = iter(slots.layers if slots is not None else ())
        self.layers = []
        for at, (each, layer) in enumerate(zip(spec.each_layer, self.pool.layers, strict=True)):
            own = next(windows) if at in beside else layer
            attention = PagedLayer(own, self, near=at in beside)
            mixer = None if each.mixer is None else PagedMixer(next(states), self)
            both = Joint(attention, mixer) if mixer is not None and each.attends else None
            self.layers.append(both or mixer or attention)
        self.rows: list[PagedRow] = []
        self.under_way: list[int] | None = None
        self._table: NDArray[np.int32] = np.empty((0, 1), np.int32)
        self._near: NDArray[np.int32] | None = None

    @property
    def lengths(self) -> Sequence[int]:
        """See ForwardState."""
        return [row.length for row in self.rows]

    @property
    def table(self) -> NDArray[np.int32]:
        """See ForwardState. Where a row has none, also where it is padded, stands NO_PAGE."""
        return self._table

    @property
    def near(self) -> NDArray[np.int32] | None:
        """See ForwardState."""
        return self._near

    @property
    def slots(self) -> NDArray[np.int32] | None:
        """See ForwardState."""
        if self.pool.slots is None:
            return None
        return np.array([row.slot for row in self.rows], np.int32)

    def reserve(self, counts: list[int], ahead: list[int] | None = None) -> None:
        """See ForwardState. Raises NoPagesError; what was taken by then stays with the rows."""
        ahead = ahead or counts
        for row, count in zip(self.rows, ahead, strict=True):
            if row.length + count > self.limit:
                raise ValueError(f"{row.length + count} tokens, where {self.limit} are the limit")
        for row, count, more in zip(self.rows, counts, ahead, strict=True):
            self.pool.reserve(row, count, more)
        widest = -(-(max(self.lengths) + max(ahead)) // self.pool.size)
        self._table = _table([row.pages for row in self.rows], widest)
        if self.pool.near is not None:
            self._near = _table([row.near for row in self.rows], widest)
        self.under_way = counts

    def advance(self, counts: list[int]) -> None:
        """See ForwardState."""
        for row, count in zip(self.rows, counts, strict=True):
            row.length += count
        self.under_way = None


def _near(spec: ModelSpec, like: Array, limit: int, pages: int, size: int) -> NearPages:
    layers = spec.near(limit)
    sights = [spec.each_layer[at].sight for at in layers]
    window = max(each.reach or 0 for each in sights)
    bytes_ = window * sum(spec.kept(like.itemsize)[at] for at in layers)
    idle = _kept(max(bytes_, 1)) * (window // size + 2)
    shapes = [spec.shapes[at] for at in layers]
    most = min(pages, near_pages(spec, limit, size))
    return NearPages(shapes, sights, like, most, size, idle=idle)


def _table(rows: Sequence[Sequence[int]], widest: int) -> NDArray[np.int32]:
    found = np.full((len(rows), widest), NO_PAGE, np.int32)
    for at, pages in enumerate(rows):
        found[at, : len(pages)] = pages[:widest]
    return found


class PagedMixer:
    """See RecurrentState: what a layer's mixer reads and writes of the rows of a forward."""

    def __init__(self, slots: LayerSlots, state: PagedState) -> None:
        self._slots, self._state = slots, state

    @property
    def inputs(self) -> Array:
        """Those of all slots."""
        return self._slots.inputs

    @property
    def memory(self) -> Array:
        """Those of all slots."""
        return self._slots.memory

    def read(self) -> tuple[Array, Array]:
        """See RecurrentState."""
        rows = indices(self._state.slots, self.inputs)
        xp = namespace(self.inputs)
        return xp.take(self.inputs, rows, axis=0), xp.take(self.memory, rows, axis=0)

    def write(self, inputs: Array, memory: Array) -> None:
        """See RecurrentState."""
        rows = indices(self._state.slots, self.inputs)
        self.inputs[rows], self.memory[rows] = inputs, memory


class PagedLayer:
    """See LayerState: what a layer's attention does with keys and values that stand in pages.

    near: whether it has pages of its own, see NearPages.
    """

    origins = None

    def __init__(self, pages: LayerPages, state: PagedState, *, near: bool) -> None:
        self._pages, self._state, self.near = pages, state, near

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
        counts = self._state.taken(time)
        places = [(row, at) for row, count in enumerate(counts) for at in range(count)]
        rows, steps = (indices([place[i] for place in places], key) for i in (0, 1))
        starts = indices(lengths, key)
        table = indices(self._state.near if self.near else self._state.table, key)
        for pages, new in ((self._pages.keys, key), (self._pages.values, value)):
            scattered(pages, table, starts[rows] + steps, rows, new[rows, :, steps])
        end = max(lengths) + time
        keys, values = (
            gathered(pages, table, end) for pages in (self._pages.keys, self._pages.values)
        )
        return keys, values
