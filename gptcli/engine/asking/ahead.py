"""Tokens that are run before they are drawn: drafts, of which only what is drawn is kept.

Each place is drawn from its own logits, with its own random number and with what stands before it,
as without a draft; a token that differs from the draft ends it. So where the runner gives a token
the same numbers alone and among others, the text is the same, whatever was drafted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from gptcli.engine.arrays import Array
from gptcli.engine.asking.history import History
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


class Source(Protocol):
    """What drafts come from: it follows a text, and learns how its drafts did."""

    def append(self, token: int) -> None:
        """The text goes on with this."""
        ...

    def draft(self, room: int) -> list[int]:
        """What may come next, of at most `room` tokens; empty where nothing is worth running."""
        ...

    def judged(self, right: int) -> None:
        """So many tokens of the last draft, from its first on, were drawn."""
        ...


#: Sources for a text of these ids, the best first.
Sources = Callable[[Sequence[int]], Sequence[Source]]


class Ahead:
    """One text whose next tokens are drafted by the first of several sources that has some.

    pace: what learns what passes take, if anything is to. clock gives seconds.
    """

    def __init__(
        self,
        runner: Runner,
        tail: Tail,
        history: History,
        sources: Sources,
        *,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._runner, self._tail, self._pace, self._clock = runner, tail, pace, clock
        self._begin = sources
        self._sources = sources([*history.prompt, *history.generated[:-1]])
        self._source: Source | None = None  # of the draft
        self._draft: list[int] = []
        self._right = 0  # how many of the draft are right so far
        self._logits: Array | None = None
        self.drafted = self.kept = 0

    def next(self, history: History, left: int) -> Array:
        """Logits of what follows the token that was drawn last, (1, vocab).

        left: how many tokens may still be drawn.
        """
        token = history.generated[-1]
        self._judge(token)
        for source in self._sources:
            source.append(token)
        if self._logits is not None:
            return self._logits[self._right : self._right + 1]
        room = min(left - 1, self._runner.limit - self._tail.length - 1)
        for source in self._sources:
            draft = source.draft(room)
            if draft:
                return self._run(token, source, draft)
        return self._alone(token)

    def go_back(self, history: History) -> None:
        """Tokens were taken back: hold what stands before the one that was drawn last."""
        self._tail.cut(len(history.prompt) + len(history.generated) - 1)
        self._sources = self._begin([*history.prompt, *history.generated[:-1]])
        self._draft, self._logits = [], None

    def _run(self, token: int, source: Source, draft: list[int]) -> Array:
        self._source, self._draft, self._right = source, draft, 0
        self.drafted += len(draft)
        begun = self._clock()
        self._logits = self._tail.decode_all([token, *draft])
        self._passed(len(draft), begun)
        return self._logits[:1]

    def _judge(self, token: int) -> None:
        """Hold a draft to what was drawn."""
        if self._logits is None:
            return
        drafted, right = len(self._draft), self._right
        if right < drafted and self._draft[right] == token:
            self._right, self.kept = right + 1, self.kept + 1
            return
        self._logits = None
        if self._source is not None:
            self._source.judged(right)
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
