"""Tokens that are run before they are drawn: drafts, of which only what is drawn is kept.

Each place is drawn from its own logits, with its own random number and with what stands before it,
as without a draft; a token that differs from the draft ends it. So where the runner gives a token
the same numbers alone and among others, the text is the same, whatever was drafted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from itertools import takewhile
from typing import Protocol

from gptcli.engine.arrays import Array
from gptcli.engine.asking.history import History
from gptcli.engine.asking.lookup import Lookup
from gptcli.engine.asking.pace import Pace
from gptcli.engine.runner import Runner
from gptcli.engine.state.model_state import ModelState


class Tail(Protocol):
    """The end of one text, in a state that can go back."""

    @property
    def length(self) -> int:
        """How many tokens are held."""
        ...

    def decode(self, token: int) -> Array:
        """Append a token; logits of what follows, (1, vocab)."""
        ...

    def decode_all(self, ids: Sequence[int]) -> Array:
        """Append tokens; logits after each, (ids, vocab)."""
        ...

    def cut(self, length: int) -> None:
        """Forget what stands from there on."""
        ...


class StateTail:
    """See Tail: a state of one row."""

    def __init__(self, runner: Runner, state: ModelState) -> None:
        self._runner, self._state = runner, state

    @property
    def length(self) -> int:
        """See Tail."""
        return self._state.lengths[0]

    def decode(self, token: int) -> Array:
        """See Tail."""
        return self._runner.decode([token], self._state)

    def decode_all(self, ids: Sequence[int]) -> Array:
        """See Tail."""
        return self._runner.all_logits(ids, self._state)

    def cut(self, length: int) -> None:
        """See Tail."""
        self._state.truncate([length])


class Ahead:
    """One text whose next tokens are looked up in what there is of it.

    pace: what says how many, and learns from it; most: how many wherever something is found, where
    there is none. ends: what ends a text, and no draft goes beyond. clock gives seconds.
    """

    def __init__(
        self,
        runner: Runner,
        tail: Tail,
        history: History,
        *,
        pace: Pace | None = None,
        most: int = 0,
        ends: Collection[int] = (),
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._runner, self._tail, self._pace = runner, tail, pace
        self._most, self._ends, self._clock = most, ends, clock
        self._lookup = Lookup([*history.prompt, *history.generated[:-1]])
        self._guess: tuple[int, int] | None = None  # the next token, and how many were alike
        self._draft: list[int] = []
        self._alike = self._right = 0  # of the draft: what was alike, and is right so far
        self._logits: Array | None = None
        self.drafted = self.kept = 0

    def next(self, history: History, left: int) -> Array:
        """Logits of what follows the token that was drawn last, (1, vocab).

        left: how many tokens may still be drawn.
        """
        token = history.generated[-1]
        self._judge(token)
        self._lookup.append(token)
        if self._logits is not None:
            return self._logits[self._right : self._right + 1]
        found = self._lookup.find()
        if found is None:
            self._guess = None
            return self._alone(token)
        room = min(left - 1, self._runner.limit - self._tail.length - 1)
        count = self._most if self._pace is None else self._pace.length(found.alike, room)
        ids = self._lookup.after(found, max(min(count, room), 1))
        draft = list(takewhile(lambda each: each not in self._ends, ids))
        self._guess, self._alike = (ids[0], found.alike), found.alike
        if count < 1 or room < 1 or not draft:
            return self._alone(token)
        self._guess = None
        self._draft, self._right = draft, 0
        self.drafted += len(draft)
        begun = self._clock()
        self._logits = self._tail.decode_all([token, *draft])
        self._passed(len(draft), begun)
        return self._logits[:1]

    def go_back(self, history: History) -> None:
        """Tokens were taken back: hold what stands before the one that was drawn last."""
        self._tail.cut(len(history.prompt) + len(history.generated) - 1)
        self._lookup = Lookup([*history.prompt, *history.generated[:-1]])
        self._guess, self._draft, self._logits = None, [], None

    def _judge(self, token: int) -> None:
        """Hold what was expected to what was drawn."""
        if self._guess is not None and self._pace is not None:
            self._pace.learn(self._guess[1], self._guess[0] == token)
        if self._logits is None:
            return
        drafted, right = len(self._draft), self._right
        same = right < drafted and self._draft[right] == token
        if right < drafted and self._pace is not None:
            self._pace.learn(self._alike + right, same)
        if same:
            self._right, self.kept = right + 1, self.kept + 1
            return
        self._logits = None
        if self._pace is not None:
            self._pace.judged(drafted, right)
        if right < drafted:
            self._tail.cut(self._tail.length - drafted + right)

    def _alone(self, token: int) -> Array:
        begun = self._clock()
        logits = self._tail.decode(token)
        self._passed(0, begun)
        return logits

    def _passed(self, size: int, begun: float) -> None:
        if self._pace is not None:
            self._runner.wait()
            self._pace.passed(size, self._clock() - begun)
