"""Drafts of a smaller model."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable

from gptcli.engine.asking.drafter import Drafter
from gptcli.engine.asking.drafter_pace import MOST, DrafterPace


class Modelled:
    """See ahead.Source.

    pace: what says how many, and learns from it; most: how many, where there is none. ends: what
    ends a text, and no draft goes beyond. clock gives seconds.
    """

    def __init__(
        self,
        ids: Iterable[int],
        drafter: Drafter,
        pace: DrafterPace | None,
        most: int,
        ends: Collection[int],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._ids = list(ids)
        self._drafter, self._pace, self._most, self._ends = drafter, pace, most, ends
        self._clock = clock
        self._shares: list[float] = []
        self._run = 0  # how many of the draft are run
        self._guess: tuple[int, float] | None = None  # of a draft that is not run

    def append(self, token: int) -> None:
        """See Source; the first token is learned from, also where it is not run."""
        if self._guess is not None and self._pace is not None:
            self._pace.learn(self._guess[1], self._guess[0] == token)
        self._guess = None
        self._ids.append(token)

    def draft(self, room: int) -> list[int]:
        """See Source."""
        if room < 1 or (self._pace is not None and not self._pace.begins()):
            return []
        self._drafter.read(self._ids)
        begun = self._clock()
        draft: list[int] = []
        self._shares = []
        drafted = 0
        for token, share in self._drafter.after(self._ids):
            drafted += 1
            if token in self._ends:
                break
            draft.append(token)
            self._shares.append(share)
            if len(draft) >= min(room, MOST if self._pace is not None else self._most):
                break
            if self._pace is not None and not self._pace.goes_on(self._shares):
                break
        self._run = len(draft)
        if self._pace is None or not drafted:
            return draft
        self._pace.drafted(drafted, self._clock() - begun)
        self._run = self._pace.length(self._shares)
        if not self._run:
            self._guess = (draft[0], self._shares[0]) if draft else None
            self._pace.judged(drafted, 0, 0)
        return draft[: self._run]

    def judged(self, right: int) -> None:
        """See Source."""
        if self._pace is None:
            return
        for at in range(min(right + 1, self._run)):
            self._pace.learn(self._shares[at], at < right)
        self._pace.judged(len(self._shares), self._run, right)
