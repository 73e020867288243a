"""Pages of the layers whose attention does not see all: a row holds those that it may yet see.

What they hold is known by the number of the page of all other layers that holds the same tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

from gptcli.engine.arrays import Array
from gptcli.engine.model.layer_shape import LayerShape
from gptcli.engine.model.sight import Sight
from gptcli.engine.state.page_memory import NO_PAGE, PageMemory


class NearPages:
    """A row's near pages are a list, in order, with NO_PAGE for those that are behind it.

    sights: of the layers. most, idle: see PageMemory.
    """

    def __init__(
        self,
        shapes: Sequence[LayerShape],
        sights: Sequence[Sight],
        like: Array,
        most: int,
        size: int,
        *,
        idle: int,
    ) -> None:
        self.memory = PageMemory(shapes, like, most, size, idle=idle, forget=self._forgotten)
        self._sights, self._size = sights, size
        self._numbers: dict[int, int] = {}  # by page
        self._pages: dict[int, int] = {}  # by number

    def reserve(self, pages: list[int], length: int, count: int) -> None:
        """Hold what a row of that length needs for `count` more tokens. Raises NoPagesError."""
        first = self._first(length)
        for at in range(min(first, len(pages)) - 1, -1, -1):
            if pages[at] == NO_PAGE:
                break
            # Of a prompt that is read on, others want the end more likely than this.
            self._drop(pages[at], soon=count > 1)
            pages[at] = NO_PAGE
        self.memory.trim()
        pages += [NO_PAGE] * (first - len(pages))
        while len(pages) * self._size < length + count:
            pages.append(self.memory.take())

    def remember(self, page: int, number: int) -> None:
        """Know a full page by that number, unless another is."""
        if page != NO_PAGE and number not in self._pages:
            self._pages[number], self._numbers[page] = page, number

    def forget(self, number: int) -> None:
        """That number means nothing any more."""
        page = self._pages.pop(number, None)
        if page is not None:
            del self._numbers[page]
            self.memory.free(page)

    def has(self, numbers: Sequence[int]) -> bool:
        """Whether a row can go on behind whole pages of these numbers."""
        first = self._first(len(numbers) * self._size)
        return all(number in self._pages for number in numbers[first:])

    def begin(self, numbers: Sequence[int]) -> list[int]:
        """The pages of a row that goes on there."""
        first = self._first(len(numbers) * self._size)
        shared = [self.memory.share(self._pages[number]) for number in numbers[first:]]
        return [NO_PAGE] * first + shared

    def copy(self, pages: Sequence[int], whole: int) -> list[int]:
        """Those of another row that holds the same, of which `whole` are full. Raises
        NoPagesError.
        """
        last = [self.memory.copy(page) for page in pages[whole:]]
        return [page and self.memory.share(page) for page in pages[:whole]] + last

    def give(self, pages: Sequence[int]) -> None:
        """A row has ended."""
        for page in reversed(pages):
            if page != NO_PAGE:
                self._drop(page)
        self.memory.trim()

    def _first(self, length: int) -> int:
        """The first page that a text of that length needs to go on."""
        return min(each.begin(length) for each in self._sights) // self._size

    def _drop(self, page: int, *, soon: bool = False) -> None:
        self.memory.drop(page, known=page in self._numbers, soon=soon)

    def _forgotten(self, page: int) -> None:
        del self._pages[self._numbers.pop(page)]
