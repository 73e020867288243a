"""Keys and values in pages of some positions, which rows take, share and give back.

Memory follows what is used, not the longest row. A page that is full is known by its tokens and
all before them, so that another row that begins alike takes it instead of computing it; it stays
when no row has it any more, until its memory is wanted (as PagedAttention has it,
arXiv:2309.06180), or too many stay so: a process that lives long must not hold all that it may.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

from gptcli.engine.arrays import Array
from gptcli.engine.model.layer_shape import LayerShape
from gptcli.engine.state.near_pages import NearPages
from gptcli.engine.state.page_memory import PAGE, LayerPages, NoPagesError, PageMemory
from gptcli.engine.state.slots import SlotPool
from gptcli.plain import dataclass


@dataclass(eq=False)
class PagedRow:
    """A row: its pages in order, how many tokens they hold, the slot of its mixers' states, and its
    near pages.
    """

    pages: list[int] = field(default_factory=list)
    length: int = 0
    slot: int | None = None
    near: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class _Known:
    """What a page holds: its tokens, after a page that holds what was before; 0 is nothing."""

    before: int
    ids: tuple[int, ...]


class PagePool:
    """The pages of all layers, at most `most` for rows, each of `size` positions.

    like, idle: see PageMemory. slots: the states of mixers, where there are some: a row then begins
    where one was kept. near: the pages of layers that do not see all, which are none of `shapes`.
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
        near: NearPages | None = None,
    ) -> None:
        self.slots, self.near = slots, near
        self.memory = PageMemory(shapes, like, most, size, idle=idle, forget=self._forgotten)
        self.size = size
        # What full pages hold, by page, and the number by which the next ones name it.
        self._known: dict[int, tuple[_Known, int]] = {}
        self._found: dict[_Known, int] = {}
        self._numbers = 0

    @property
    def layers(self) -> list[LayerPages]:
        """Those of `shapes`."""
        return self.memory.layers

    @property
    def made(self) -> int:
        """For how many pages there is memory."""
        return self.memory.made

    @property
    def left(self) -> int:
        """How many pages could be taken now."""
        return self.memory.left

    def take(self) -> int:
        """See PageMemory."""
        return self.memory.take()

    def reserve(self, row: PagedRow, count: int, ahead: int) -> None:
        """Make room for `count` more tokens of a row, of `ahead` that will come. Raises
        NoPagesError; what was taken by then stays with the row.
        """
        if self.slots is not None and row.slot is None:
            row.slot = self.slots.take()
        while len(row.pages) * self.size < row.length + ahead:
            row.pages.append(self.take())
        if self.near is not None:
            self.near.reserve(row.near, row.length, count)

    def give(self, row: PagedRow) -> None:
        """A row has ended: what nobody else holds is idle where it is known, else free."""
        # The last first: what begins many rows is to stay longest.
        for page in reversed(row.pages):
            self.memory.drop(page, known=page in self._known)
        if self.near is not None:
            self.near.give(row.near)
        row.pages, row.near, row.length = [], [], 0
        if self.slots is not None and row.slot is not None:
            self.slots.give(row.slot)
            row.slot = None
        self.memory.trim()

    def remember(self, row: PagedRow, ids: Sequence[int], first: int) -> None:
        """Know the full pages of a row that holds `ids`, from its page `first` on."""
        for at in range(first, row.length // self.size):
            before = self._known[row.pages[at - 1]][1] if at else 0
            known = _Known(before, tuple(ids[at * self.size : (at + 1) * self.size]))
            if known in self._found:
                # Another row was as fast; from here on this row's pages are its own.
                self._swap(row, at, self._found[known])
            else:
                self._numbers += 1
                self._found[known] = row.pages[at]
                self._known[row.pages[at]] = known, self._numbers
            if self.near is not None:
                self.near.remember(row.near[at], self._known[row.pages[at]][1])
        if self.slots is not None and row.slot is not None and row.pages:
            whole, rest = divmod(row.length, self.size)
            if not rest and first < whole:
                self.slots.keep(self._known[row.pages[whole - 1]][1], row.slot)

    def begin(self, ids: Sequence[int]) -> PagedRow:
        """A row that holds as many whole pages of the beginning of `ids` as are known."""
        found = self._pages_of(ids)
        numbers = [self._known[page][1] for page in found]
        slot, near = None, list[int]()
        if self.slots is not None:
            slot = self.slots.begin(numbers[-1]) if found else self.slots.take()
        if self.near is not None:
            near = self.near.begin(numbers)
        pages = [self.memory.share(page) for page in found]
        return PagedRow(pages, len(pages) * self.size, slot, near)

    def known(self, ids: Sequence[int]) -> int:
        """How many tokens of the beginning of `ids` stand in whole pages that are known."""
        return self.size * len(self._pages_of(ids))

    def copy(self, row: PagedRow) -> PagedRow:
        """Another row that holds the same. Raises NoPagesError."""
        whole, rest = divmod(row.length, self.size)
        other = PagedRow(length=row.length)
        try:
            if rest:
                other.pages.append(self.memory.copy(row.pages[whole]))
            if self.near is not None:
                end = whole + (rest > 0)
                other.near = self.near.copy(row.near[:end], whole)
        except NoPagesError:
            self.give(other)
            raise
        if self.slots is not None and row.slot is not None:
            other.slot = self.slots.copy(row.slot)
        other.pages[:0] = map(self.memory.share, row.pages[:whole])
        return other

    def _pages_of(self, ids: Sequence[int]) -> list[int]:
        pages, numbers = list[int](), [0]
        for start in range(0, len(ids) - self.size + 1, self.size):
            page = self._found.get(_Known(numbers[-1], tuple(ids[start : start + self.size])))
            if page is None:
                break
            pages.append(page)
            numbers.append(self._known[page][1])
        while pages and not self._can_begin(numbers[1:]):
            del pages[-1], numbers[-1]
        return pages

    def _can_begin(self, numbers: Sequence[int]) -> bool:
        """Whether all layers have what a row needs that begins behind pages of these numbers."""
        kept = self.slots is None or self.slots.has(numbers[-1])
        return kept and (self.near is None or self.near.has(numbers))

    def _swap(self, row: PagedRow, at: int, page: int) -> None:
        """Hold a page of the same content instead of one's own, which is free then."""
        own = row.pages[at]
        if own == page:
            return
        row.pages[at] = self.memory.share(page)
        self.memory.drop(own, known=False)

    def _forgotten(self, page: int) -> None:
        known, number = self._known.pop(page)
        del self._found[known]
        if self.slots is not None:
            self.slots.forget(number)
        if self.near is not None:
            self.near.forget(number)
