"""A question in a running batch: what it was given, until it is asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator
from typing import Generic, TypeVar

from gptcli.engine.asking.draws import Drawn
from gptcli.errors import GptcliError
from gptcli.types.drafts import Drafts

T = TypeVar("T")
R = TypeVar("R")


class Joined(Generic[R]):
    """See Generation, which gives the same. A list is empty where there is nothing to give yet.

    reads: how many things of type R will be told of what is not drawn, a prompt's tokens mostly.
    leave: called with each sample that is to take no part in the next step, None for all there is.
    """

    def __init__(
        self, samples: Collection[int], reads: int, leave: Callable[[int | None], None]
    ) -> None:
        self._alive = set(samples)
        self._steps: deque[list[Drawn]] = deque()
        self._reads: deque[list[R]] = deque()
        self._unread = reads
        self._leave = leave
        self._error: GptcliError | None = None
        #: How many tokens of the prompt were computed before, for others.
        self.reused = 0
        #: Nothing is: others run beside.
        self.drafts: Drafts | None = None

    def stop(self, sample: int) -> None:
        """End a sample: it takes no part in the next step."""
        self._alive.discard(sample)
        self._leave(sample)

    def close(self) -> None:
        """End all of it; nobody asks for more."""
        self._alive.clear()
        self._leave(None)

    def reads(self) -> Iterator[list[R]]:
        """What is told of what is not drawn, in parts."""
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

    def give_reads(self, some: list[R]) -> None:
        """What is told next."""
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
