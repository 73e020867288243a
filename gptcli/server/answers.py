"""Answers at the desk: their parts, as they come from the engine, to be taken by whoever asked."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Literal

from gptcli.errors import GptcliError
from gptcli.server.crossing import Mailbox


class News(asyncio.Event):
    """Set when there is something new of answers that were asked for together, `open` of them."""

    def __init__(self, told: Mailbox, count: int) -> None:
        super().__init__()
        self._told = told
        self._resting: asyncio.Future[None] | None = None
        self.open = count

    async def wait(self) -> Literal[True]:
        """Until it is set."""
        with self._told.awaited():
            return await super().wait()

    async def rest(self, seconds: float) -> None:
        """Until the next of the moments that lie so far apart, or nothing is open.

        They are the same for whoever rests: the engine is disturbed once for all of them.
        """
        if not self.open:
            return
        loop = asyncio.get_running_loop()
        # A timeout of asyncio's does this too, and takes three times as long.
        self._resting = loop.create_future()
        timer = loop.call_at((loop.time() // seconds + 1) * seconds, self._rested)
        try:
            await self._resting
        finally:
            timer.cancel()

    def end(self) -> None:
        """One of them is over."""
        self.open -= 1
        self.set()
        if not self.open:
            self._rested()

    def _rested(self) -> None:
        if self._resting is not None and not self._resting.done():
            self._resting.set_result(None)


class SlowError(Exception):
    """The asker took so little of the answer that it was stopped."""


class Answer:
    """The parts of one answer, in their order, each to be taken once.

    Taking raises the errors of `gptcli.errors` as the engine did, SlowError, BrokenError and
    BusyError. Leave by `aclose`, or by using it as a context: the engine then stops its work.
    """

    def __init__(self, key: int, leave: Callable[[Answer], None], unread: int, came: News) -> None:
        self.key = key
        self._leave, self._most = leave, unread
        self._parts: deque[Any] = deque()
        #: Set when there is news, of this answer or of one that was asked for with it.
        self.came = came
        self._over = False
        self._error: Exception | None = None

    def __aiter__(self) -> Answer:
        return self

    async def __anext__(self) -> Any:
        while not self._parts and not self._over:
            self.came.clear()
            try:
                await self.came.wait()
            except BaseException:
                self._leave(self)
                raise
        if self._parts:
            return self._parts.popleft()
        if self._error is not None:
            raise self._error
        raise StopAsyncIteration

    @property
    def over(self) -> bool:
        """Whether nothing is left to be taken, and nothing will come."""
        return self._over and not self._parts

    def some(self) -> list[Any]:
        """What can be taken at once, perhaps nothing. Raises as taking does."""
        if self._over and not self._parts and self._error is not None:
            raise self._error
        found = list(self._parts)
        self._parts.clear()
        return found

    async def whole(self) -> Any:
        """The only part, of a question that is not answered by an iterator."""
        async with self:
            return await anext(self)

    async def aclose(self) -> None:
        """Leave; without effect where the answer is over."""
        self._leave(self)
        self._end()

    async def __aenter__(self) -> Answer:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def put(self, part: Any) -> bool:
        """Take in a part; False where too many wait, which ends the answer."""
        if len(self._parts) >= self._most:
            self.fail(SlowError(f"{self._most} parts of the answer were not taken"))
            return False
        self._parts.append(part)
        self.came.set()
        return True

    def end(self, error: GptcliError | None) -> None:
        """Nothing more will come; what came before an error can still be taken."""
        self._error = error
        self._end()

    def fail(self, error: Exception) -> None:
        """The same at once: what was not taken is lost."""
        self._parts.clear()
        self._error = error
        self._end()

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self.came.end()


class Answers:
    """Answers to questions that were asked together; leave as of an Answer."""

    def __init__(self, each: Sequence[Answer], came: News) -> None:
        self.each = each
        self._came = came

    @property
    def over(self) -> bool:
        """Whether all are."""
        return all(answer.over for answer in self.each)

    async def news(self) -> None:
        """Until there is something to take, or an end to see, that `take` has not met."""
        await self._came.wait()

    async def rest(self, seconds: float) -> None:
        """Until some time has passed, see News, or nothing more will come."""
        await self._came.rest(seconds)

    def take(self) -> list[tuple[int, Any]]:
        """All that has come: the number of an answer, and a part of it. Raises as taking does."""
        self._came.clear()
        return [(index, part) for index, each in enumerate(self.each) for part in each.some()]

    async def aclose(self) -> None:
        """Leave all of them."""
        for answer in self.each:
            await answer.aclose()
