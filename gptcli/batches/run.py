"""A batch under way: questions go to a place, outcomes come back, each is kept at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

from gptcli.backends import Backend
from gptcli.backends.base import parts_of
from gptcli.batches.asked import Outcome
from gptcli.batches.feed import Feed
from gptcli.batches.journal import Journal
from gptcli.batches.keys import MARK
from gptcli.errors import (
    GptcliError,
    InputError,
    ModelError,
    NetworkError,
    NonFiniteError,
    ResourceError,
    UsageError,
)
from gptcli.types.batch import BatchRequest, Told
from gptcli.types.choose import Choices
from gptcli.types.completion import Chunk, Usage
from gptcli.types.few_shot import FewShotUsage
from gptcli.types.next_tokens import Distribution
from gptcli.types.score import Score

#: Errors of the network, or numbers that are not finite, one after the other: then it is all rows'.
_IN_VAIN = 16

#: After so many pieces of text whoever watches is told.
_PIECES = 32

#: A result as a line of text, without its end.
Render = Callable[[Outcome], str]


@dataclass
class Tally:
    """What a run has done so far. first: of the rows that are errors, the one that stands first."""

    done: int = 0
    errors: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    first: Outcome | None = None

    def add(self, outcome: Outcome) -> None:
        """Count a row."""
        self.done += 1
        if outcome.error is None:
            prompt, completion = tokens_of(outcome.parts)
            self.prompt_tokens += prompt
            self.completion_tokens += completion
            return
        self.errors += 1
        if self.first is None or outcome.asked.place < self.first.asked.place:
            self.first = outcome


class Results(Protocol):
    """Where outcomes go. stopped_by: an error after which no more are taken in."""

    stopped_by: GptcliError | None

    def add(self, outcome: Outcome) -> None:
        """Take one in. Raises ResourceError where that cannot be."""
        ...


class Kept:
    """Results that are kept in a journal as they come."""

    def __init__(self, journal: Journal, render: Render, *, fail_fast: bool) -> None:
        """fail_fast: the first error that comes stops."""
        self.stopped_by: GptcliError | None = None
        self._journal, self._render, self._fail_fast = journal, render, fail_fast

    def add(self, outcome: Outcome) -> None:
        """See Results."""
        asked, failed = outcome.asked, outcome.error is not None
        self._journal.add(asked.place, asked.key[MARK:], self._render(outcome), failed=failed)
        if self._fail_fast:
            self.stopped_by = self.stopped_by or outcome.error


class InOrder:
    """Results that are told in the order of their rows, as soon as those before them are."""

    def __init__(self, tell: Callable[[Outcome], None], *, fail_fast: bool) -> None:
        """fail_fast: the error that stands first stops, and is not told."""
        self.stopped_by: GptcliError | None = None
        self._tell, self._fail_fast = tell, fail_fast
        self._waiting: dict[int, Outcome] = {}
        self._next = 0
        #: Called after each that was told.
        self.told: Callable[[], None] = lambda: None

    def add(self, outcome: Outcome) -> None:
        """See Results."""
        self._waiting[outcome.asked.place] = outcome
        while self._next in self._waiting and self.stopped_by is None:
            first = self._waiting.pop(self._next)
            if self._fail_fast and first.error is not None:
                self.stopped_by = first.error
                return
            self._tell(first)
            self._next += 1
            self.told()


class Run:
    """A batch under way. fail_fast: after an error no more rows are begun."""

    def __init__(self, results: Results, *, fail_fast: bool = False) -> None:
        self.tally = Tally()
        self.stop: Callable[[], None] = lambda: None
        #: How many pieces of text have come, also of rows that are not done, and who wants to know.
        self.pieces = 0
        self.moved: Callable[[], None] = lambda: None
        self._results, self._fail_fast = results, fail_fast
        self._lock = threading.RLock()
        self._in_vain = 0

    def add(self, outcome: Outcome) -> None:
        """Count an outcome and keep it. Whoever reads rows may be another thread."""
        with self._lock:
            self.tally.add(outcome)
            self._results.add(outcome)
            if self._fail_fast and outcome.error is not None:
                self.stop()

    def outcomes(self, backend: Backend, feed: Feed, most: int | None) -> Iterator[Outcome]:
        """Each row's that asked something, when it is kept.

        Raises what cannot be one row's fault, and what has stopped the results.
        """
        parts: dict[int, list[Any]] = {}
        # What is not wanted any more is not computed any more.
        with closing(parts_of(backend.answer(BatchRequest(feed, most)))) as events:
            for event in events:
                if self._results.stopped_by is not None:
                    break
                if isinstance(event, Told):
                    self._count(event.part)
                    parts.setdefault(event.key, []).append(event.part)
                    continue
                asked = feed.ended(event.key)
                came = tuple(parts.pop(event.key, ()))
                outcome = Outcome(asked, came, event.error or _unfinished(came))
                self._check(outcome)
                self.add(outcome)
                yield outcome
        error = self._results.stopped_by or feed.failed
        if error is not None:
            raise error

    def _count(self, part: object) -> None:
        if isinstance(part, Chunk):
            self.pieces += 1
            if self.pieces % _PIECES == 0:
                self.moved()

    def _check(self, outcome: Outcome) -> None:
        """Raise an error that other rows would have as well."""
        error, wanted = outcome.error, outcome.asked.wanted
        own = wanted is not None and wanted.own
        if isinstance(error, ModelError):
            raise error
        if isinstance(error, UsageError | ResourceError) and not own:
            raise error
        vain = isinstance(error, NetworkError | NonFiniteError)
        self._in_vain = self._in_vain + 1 if vain else 0
        if error is not None and self._in_vain >= _IN_VAIN:
            raise error


def tokens_of(parts: tuple[Any, ...]) -> tuple[int, int]:
    """How many tokens an answer read and wrote, as far as a server tells."""
    for part in reversed(parts):
        if isinstance(part, Usage | FewShotUsage):
            return part.prompt_tokens or 0, part.completion_tokens or 0
        if isinstance(part, Score | Choices):
            return part.read_tokens, 0
        if isinstance(part, Distribution):
            return part.prompt_tokens or 0, 0
    return 0, 0


def _unfinished(parts: tuple[Any, ...]) -> InputError | None:
    """What is wrong with an answer that has to be something, and was cut off."""
    for part in parts:
        if isinstance(part, Usage | FewShotUsage) and part.constraint is not None:
            for each in part.constraint.unfinished:
                return InputError("answer", each.in_words, "--repair closes it")
    return None
