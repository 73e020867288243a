"""Drafts that are looked up in what there is of a text."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import takewhile

from gptcli.engine.asking.lookup import Lookup
from gptcli.engine.asking.pace import Pace


class LookedUp:
    """See ahead.Source.

    pace: what says how many, and learns from it; most: how many wherever something is found, where
    there is none. ends: what ends a text, and no draft goes beyond.
    """

    def __init__(
        self, ids: Iterable[int], pace: Pace | None, most: int, ends: Collection[int]
    ) -> None:
        self._pace, self._most, self._ends = pace, most, ends
        self._lookup = Lookup(ids)
        self._guess: tuple[int, int] | None = None  # the next token, and how many were alike
        self._alike = self._size = 0  # of the draft

    def append(self, token: int) -> None:
        """See Source; also what is not drafted is learned from."""
        if self._guess is not None and self._pace is not None:
            self._pace.learn(self._guess[1], self._guess[0] == token)
        self._guess = None
        self._lookup.append(token)

    def draft(self, room: int) -> list[int]:
        """See Source."""
        found = self._lookup.find()
        if found is None:
            return []
        count = self._most if self._pace is None else self._pace.length(found.alike, room)
        ids = self._lookup.after(found, max(min(count, room), 1))
        draft = list(takewhile(lambda each: each not in self._ends, ids))
        if count < 1 or room < 1 or not draft:
            self._guess = (ids[0], found.alike)
            return []
        self._alike, self._size = found.alike, len(draft)
        return draft

    def judged(self, right: int) -> None:
        """See Source."""
        if self._pace is None:
            return
        for at in range(min(right + 1, self._size)):
            self._pace.learn(self._alike + at, at < right)
        self._pace.judged(self._size, right)
