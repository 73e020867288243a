"""Byte-pair encoding on tables: of the symbols of a word, those pairs are merged that rank first.

As in the tokenizers library: of all neighbours the pair of the lowest rank is merged, the leftmost
of several, until none is left that merges (Sennrich et al., https://arxiv.org/abs/1508.07909).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush

from gptcli.text.kept.form import Form
from gptcli.text.kept.remembering import remember

#: Pairs that are remembered at most, each some hundred bytes.
_PAIRS = 1 << 15
_NONE = -1
_LOW = (1 << 32) - 1


class Merges:
    """The pairs of a left symbol stand in a row, by the right one: `starts` says from where on.

    What a pair becomes is one number: its rank, and below 32 bits the new symbol.
    """

    def __init__(self, form: Form) -> None:
        self._starts = form.numbers("starts")
        self._rights = form.numbers("rights")
        self._ranks = form.numbers("ranks")
        self._made = form.numbers("made")
        self._pairs: dict[int, int] = {}

    def merged(self, symbols: Sequence[int]) -> list[tuple[int, int, int]]:
        """(symbol, first, last + 1), of those given, of what a word becomes."""
        now, end = list(symbols), len(symbols)
        after, before = list(range(1, end + 1)), list(range(-1, end - 1))
        merged, low = self._pair, _LOW
        # A rank and a place, of pairs that were neighbours once.
        queue = [
            new & ~low | at
            for at in range(end - 1)
            if (new := merged(now[at], now[at + 1])) != _NONE
        ]
        heapify(queue)
        while queue:
            top = heappop(queue)
            at = top & low
            right = after[at]
            # Merged into another, or the last one.
            if now[at] < 0 or right == end:
                continue
            new = merged(now[at], now[right])
            if new == _NONE or new >> 32 != top >> 32:
                continue
            symbol = new & low
            now[at], now[right] = symbol, _NONE
            following = after[at] = after[right]
            if following < end:
                before[following] = at
                new = merged(symbol, now[following])
                if new != _NONE:
                    heappush(queue, new & ~low | at)
            left = before[at]
            if left >= 0:
                new = merged(now[left], symbol)
                if new != _NONE:
                    heappush(queue, new & ~low | left)
        found, at = [], 0
        while at < end:
            found.append((now[at], at, after[at]))
            at = after[at]
        return found

    def _pair(self, left: int, right: int) -> int:
        key = left << 32 | right
        found = self._pairs.get(key)
        if found is None:
            return remember(self._pairs, key, self._looked_up(left, right), _PAIRS)
        return found

    def _looked_up(self, left: int, right: int) -> int:
        start, end = self._starts[left], self._starts[left + 1]
        at = bisect_left(self._rights, right, start, end)
        if at == end or self._rights[at] != right:
            return _NONE
        return int(self._ranks[at] << 32 | self._made[at])


def tables(size: int, merges: Iterable[tuple[int, int, int]]) -> dict[str, bytes]:
    """The tables of (left, right, new symbol) in the order of their ranks; size: of the vocabulary.

    No pair is there twice.
    """
    # Only what was never met needs it.
    import numpy as np

    found = np.fromiter(merges, dtype=np.dtype((np.uint32, 3)))
    order = np.lexsort((found[:, 1], found[:, 0]))
    counts = np.bincount(found[:, 0], minlength=size)
    columns = {
        "starts": np.concatenate([[0], np.cumsum(counts)]),
        "rights": found[order, 1],
        "ranks": order,
        "made": found[order, 2],
    }
    return {name: column.astype(np.uint32).tobytes() for name, column in columns.items()}
