"""A question in a running batch: what it was given, until it is asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator
from typing import TypeVar

from gptcli.engine.asking.draws import Drawn, Read
from gptcli.errors import GptcliError

T = TypeVar("T")


class Joined:
    """See Generation, which gives the same. A list is empty where there is nothing to give yet.

    leave: called with each sample that is to take no part in the next step.
    """

    def __init__(self, samples: Collection[int], reads: int, leave: Callable[[int], None]) -> None:
        self._alive = set(samples)
        self._steps: deque[list[Drawn]] = deque()
        self._reads: deque[list[Read]] = deque()
        self._unread = reads
        self._leave = leave
        self._error: GptcliError | None = None
        #: How many tokens of the prompt were computed before, for others.
        self.reused = 0

    def stop(self, sample: int) -> None:
        """End a sample: it takes no part in the next step."""
        self._alive.discard(sample)
        self._leave(sample)

    def close(self) -> None:
        """End all samples; nobody asks for more."""
        for sample in sorted(self._alive):
            self.stop(sample)

    def reads(self) -> Iterator[list[Read]]:
        """What the model had expected of the prompt, in parts."""
        while self._unread:
            some = self._next(self._reads)
            self._unread -= len(some)
            yield some

    def __iter__(self) -> Iterator[list[Drawn]]:
        """Yields the steps."""
        while self._alive or self._steps:
            yield self._next(self._steps)

    def give(self, drawn: Drawn, *, last: bool) -> None:
        """A token for a sample, perhaps its last."""
        self._steps.append([drawn])
        if last:
            self._alive.discard(drawn.sample)

    def give_reads(self, some: list[Read]) -> None:
        """The next tokens of the prompt."""
        self._reads.append(some)

    def fail(self, error: GptcliError) -> None:
        """Nothing more is given; who asks gets the error."""
        self._error = error

    def _next(self, given: deque[list[T]]) -> list[T]:
        if given:
            return given.popleft()
        if self._error is not None:
            raise self._error
        return []
