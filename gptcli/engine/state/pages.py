"""Keys and values in pages of some positions, which rows take, share and give back.

Memory follows what is used, not the longest row. A page that is full is known by its tokens and
all before them, so that another row that begins alike takes it instead of computing it; it stays
when no row has it any more, until its memory is wanted (as PagedAttention has it,
arXiv:2309.06180), or too many stay so: a process that lives long must not hold all that it may.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import field

from gptcli.engine.arrays import Array, indices, longer, namespace, zeros
from gptcli.engine.model.layer_shape import LayerShape
from gptcli.engine.state.slots import SlotPool
from gptcli.plain import dataclass

#: Positions of a page: what attention of the kernels takes at once, where it may be a multiple.
PAGE = 64
#: A page that no row ever has: zeros, for where a row has none.
NO_PAGE = 0
#: Pages by which there come to be more, at least, and as a share of those there are.
_LEAST, _SHARE = 16, 2


class NoPagesError(Exception):
    """There is no page left; who asked can give some back, and ask again."""


class LayerPages:
    """The pages of one layer: two arrays of shape (pages, kv_heads, size, head_dim).

    See KeysValues.
    """

    def __init__(self, shape: LayerShape, like: Array, size: int) -> None:
        key, value = shape.widths(like.itemsize)
        self.keys: Array = zeros((0, shape.kv_heads, size, key), like)
        self.values: Array = zeros((0, shape.kv_heads, size, value), like)

    def grow(self, pages: int) -> None:
        """Have so many; those there are stay."""
        self.keys, self.values = longer(self.keys, pages), longer(self.values, pages)

    def clear(self, page: int) -> None:
        """Zeros, not what another row left: a masked NaN would still poison the sums of a row."""
        self.keys[page], self.values[page] = 0, 0

    def copy(self, source: int, page: int) -> None:
        """Make a page like another."""
        self.keys[page], self.values[page] = self.keys[source], self.values[source]


@dataclass(eq=False)
class PagedRow:
    """A row: its pages in order, how many tokens they hold, and the slot of its mixers' states."""

    pages: list[int] = field(default_factory=list)
    length: int = 0
    slot: int | None = None


@dataclass(frozen=True)
class _Known:
    """What a page holds: its tokens, after a page that holds what was before; 0 is nothing."""

    before: int
    ids: tuple[int, ...]


class PagePool:
    """The pages of all layers, at most `most` for rows, each of `size` positions.

    like: see KeysValues. idle: how many stay that no row has; None for all. slots: the states of
    mixers, where there are some: a row then begins where one was kept.
    """

    def __init__(
        self,
        shapes: Sequence[LayerShape],
        like: Array,
        most: int,
        size: int = PAGE,
        *,
        idle: int | None = None,
        slots: SlotPool | None = None,
    ) -> None:
        self.slots = slots
        self.layers = [LayerPages(shape, like, size) for shape in shapes]
        self.size = size
        self.most = most + 1
        self.made = 0
        self._free: list[int] = []
        self._used: set[int] = set()  # by a row before, so that something stands there
        self._holders: dict[int, int] = {}
        # What full pages hold, by page, and the number by which the next ones name it.
        self._known: dict[int, tuple[_Known, int]] = {}
        self._found: dict[_Known, int] = {}
        self._idle: OrderedDict[int, None] = OrderedDict()
        self._most_idle = most if idle is None else idle
        self._numbers = 0

    @property
    def left(self) -> int:
        """How many pages could be taken now."""
        return self.most - 1 - len(self._holders)

    def take(self) -> int:
        """A page of zeros, held by one row. Raises NoPagesError."""
        if not self._free and self.made < self.most:
            self._make()
        if self._free:
            page = self._free.pop()
        elif self._idle:
            page = self._oldest()
        else:
            raise NoPagesError
        if page in self._used:
            for layer in self.layers:
                layer.clear(page)
        self._used.add(page)
        self._holders[page] = 1
        return page

    def share(self, page: int) -> int:
        """One more row holds a page that is held, or idle."""
        self._idle.pop(page, None)
        self._holders[page] = self._holders.get(page, 0) + 1
        return page

    def give(self, row: PagedRow) -> None:
        """A row has ended: what nobody else holds is idle where it is known, else free."""
        # The last first: what begins many rows is to stay longest.
        for page in reversed(row.pages):
            self._holders[page] -= 1
            if self._holders[page]:
                continue
            del self._holders[page]
            if page in self._known:
                self._idle[page] = None
            else:
                self._free.append(page)
        row.pages, row.length = [], 0
        if self.slots is not None and row.slot is not None:
            self.slots.give(row.slot)
            row.slot = None
        while len(self._idle) > self._most_idle:
            self._free.append(self._oldest())

    def remember(self, row: PagedRow, ids: Sequence[int], first: int) -> None:
        """Know the full pages of a row that holds `ids`, from its page `first` on."""
        for at in range(first, row.length // self.size):
            before = self._known[row.pages[at - 1]][1] if at else 0
            known = _Known(before, tuple(ids[at * self.size : (at + 1) * self.size]))
            if known in self._found:
                # Another row was as fast; from here on this row's pages are its own.
                self._swap(row, at, self._found[known])
                continue
            self._numbers += 1
            self._found[known] = row.pages[at]
            self._known[row.pages[at]] = known, self._numbers
        if self.slots is not None and row.slot is not None and row.pages:
            whole, rest = divmod(row.length, self.size)
            if not rest and first < whole:
                self.slots.keep(self._known[row.pages[whole - 1]][1], row.slot)

    def begin(self, ids: Sequence[int]) -> PagedRow:
        """A row that holds as many whole pages of the beginning of `ids` as are known."""
        found = self._pages_of(ids)
        slot = None
        if self.slots is not None:
            number = self._known[found[-1]][1] if found else 0
            slot = self.slots.begin(number) if found else self.slots.take()
        pages = [self.share(page) for page in found]
        return PagedRow(pages, len(pages) * self.size, slot)

    def known(self, ids: Sequence[int]) -> int:
        """How many tokens of the beginning of `ids` stand in whole pages that are known."""
        return self.size * len(self._pages_of(ids))

    def copy(self, row: PagedRow) -> PagedRow:
        """Another row that holds the same. Raises NoPagesError."""
        whole = row.length // self.size
        if row.length % self.size:
            page = self.take()
            for layer in self.layers:
                layer.copy(row.pages[whole], page)
            last = [page]
        else:
            last = []
        slot = None
        if self.slots is not None and row.slot is not None:
            slot = self.slots.copy(row.slot)
        return PagedRow([*map(self.share, row.pages[:whole]), *last], row.length, slot)

    def _pages_of(self, ids: Sequence[int]) -> list[int]:
        pages, number = list[int](), 0
        for start in range(0, len(ids) - self.size + 1, self.size):
            page = self._found.get(_Known(number, tuple(ids[start : start + self.size])))
            if page is None:
                break
            pages.append(page)
            number = self._known[page][1]
        while self.slots is not None and pages and not self.slots.has(self._known[pages[-1]][1]):
            del pages[-1]
        return pages

    def _swap(self, row: PagedRow, at: int, page: int) -> None:
        """Hold a page of the same content instead of one's own, which is free then."""
        own = row.pages[at]
        if own == page:
            return
        row.pages[at] = self.share(page)
        self._holders[own] -= 1
        if not self._holders[own]:
            del self._holders[own]
            self._free.append(own)

    def _make(self) -> None:
        count = min(max(_LEAST, self.made // _SHARE), self.most - self.made)
        # Layer by layer, so that only one is ever held twice.
        for layer in self.layers:
            layer.grow(self.made + count)
        self._free += reversed(range(max(self.made, NO_PAGE + 1), self.made + count))
        self.made += count

    def _oldest(self) -> int:
        """The page that has been idle for longest, of which nothing is known from then on."""
        page, _ = self._idle.popitem(last=False)
        known, number = self._known.pop(page)
        del self._found[known]
        if self.slots is not None:
            self.slots.forget(number)
        return page


def scattered(pages: Array, table: Array, at: Array, rows: Array, numbers: Array) -> None:
    """Write numbers (n, kv_heads, head_dim) of n positions `at` of n rows into their pages."""
    size = pages.shape[2]
    where = table[rows, at // size]
    pages[where, :, at % size] = numbers


def gathered(pages: Array, table: Array, end: int) -> Array:
    """The first `end` positions of each row, (rows, kv_heads, end, head_dim)."""
    xp = namespace(pages)
    rows, count = table.shape
    found = xp.take(pages, indices(table.reshape(-1), pages), axis=0)
    _, kv_heads, size, head_dim = pages.shape
    found = found.reshape(rows, count, kv_heads, size, head_dim).swapaxes(1, 2)
    return found.reshape(rows, kv_heads, count * size, head_dim)[:, :, :end]
