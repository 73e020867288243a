"""Memory of pages of some positions: who holds which, which are free, and which may be taken."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from gptcli.engine.arrays import Array, indices, longer, namespace, zeros
from gptcli.engine.model.layer_shape import LayerShape

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


class PageMemory:
    """The pages of some layers, at most `most` that are held, each of `size` positions.

    like: see KeysValues. idle: how many stay that nobody holds; None for all. forget: is told of a
    page that was idle, of which nothing is known from then on.
    """

    def __init__(
        self,
        shapes: Sequence[LayerShape],
        like: Array,
        most: int,
        size: int,
        *,
        idle: int | None,
        forget: Callable[[int], None],
    ) -> None:
        self.layers = [LayerPages(shape, like, size) for shape in shapes]
        self.most = most + 1
        self.made = 0
        self._free: list[int] = []
        self._used: set[int] = set()  # by a row before, so that something stands there
        self._holders: dict[int, int] = {}
        self._idle: OrderedDict[int, None] = OrderedDict()
        self._most_idle = most if idle is None else idle
        self._forget = forget

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

    def copy(self, source: int) -> int:
        """A page like another. Raises NoPagesError."""
        page = self.take()
        for layer in self.layers:
            layer.copy(source, page)
        return page

    def drop(self, page: int, *, known: bool, soon: bool = False) -> None:
        """A row holds a page no more: where nobody does, it is idle if something is known of it.

        soon: it is among the first to be taken again.
        """
        self._holders[page] -= 1
        if self._holders[page]:
            return
        del self._holders[page]
        if not known:
            self._free.append(page)
            return
        self._idle[page] = None
        if soon:
            self._idle.move_to_end(page, last=False)

    def free(self, page: int) -> None:
        """Nothing is known any more of a page."""
        if page in self._idle:
            del self._idle[page]
            self._free.append(page)

    def trim(self) -> None:
        """Let go of what has been idle for longest, where that is too much."""
        while len(self._idle) > self._most_idle:
            self._free.append(self._oldest())

    def _oldest(self) -> int:
        page, _ = self._idle.popitem(last=False)
        self._forget(page)
        return page

    def _make(self) -> None:
        count = min(max(_LEAST, self.made // _SHARE), self.most - self.made)
        # Layer by layer, so that only one is ever held twice.
        for layer in self.layers:
            layer.grow(self.made + count)
        self._free += reversed(range(max(self.made, NO_PAGE + 1), self.made + count))
        self.made += count


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
