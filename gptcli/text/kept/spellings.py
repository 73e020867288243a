"""A vocabulary in tables: from an id to its spelling, and from a spelling to its id."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from gptcli.text.kept.form import Form


class Spellings:
    """Spellings are UTF-8; ids are all numbers below `size`."""

    def __init__(self, form: Form) -> None:
        self._texts = form.tables["texts"]
        self._ends = form.numbers("ends")
        #: Ids in the order of their spellings.
        self._order = form.numbers("order")
        self.size = len(self._order)
        self._places = range(self.size)

    def of(self, token: int) -> bytes:
        """A token's spelling."""
        start = self._ends[token - 1] if token else 0
        return bytes(self._texts[start : self._ends[token]])

    def id_of(self, spelling: bytes) -> int | None:
        """The token of exactly that spelling."""
        at = bisect_left(self._places, spelling, key=self._at)
        if at == self.size or self._at(at) != spelling:
            return None
        return int(self._order[at])

    def beginning(self, prefix: bytes, start: int = 0, end: int | None = None) -> tuple[int, int]:
        """Which places of the order, from `start` to before `end`, hold what begins so."""
        end = self.size if end is None else end
        size = len(prefix)

        def beginning(place: int) -> bytes:
            return self._at(place)[:size]

        first = bisect_left(self._places, prefix, start, end, key=beginning)
        return first, bisect_right(self._places, prefix, first, end, key=beginning)

    def placed(self, place: int) -> tuple[int, bytes]:
        """The id and the spelling at a place of the order."""
        return self._order[place], self._at(place)

    def _at(self, place: int) -> bytes:
        return self.of(self._order[place])


def tables(spellings: Sequence[str]) -> dict[str, bytes]:
    """The tables of spellings by id, no two of which are the same."""
    texts = [spelling.encode() for spelling in spellings]
    ends, at = array("I"), 0
    for text in texts:
        at += len(text)
        ends.append(at)
    order = array("I", sorted(range(len(texts)), key=texts.__getitem__))
    return {"texts": b"".join(texts), "ends": ends.tobytes(), "order": order.tobytes()}
