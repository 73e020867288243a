"""Questions that come in together, answered one after another: for places that do one at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

from gptcli.backends.base import parts_of
from gptcli.errors import GptcliError
from gptcli.types.batch import Asked, BatchRequest, Ended, Incoming, Told

#: How many questions may wait here; whatever gives them may have millions.
_AHEAD = 64


def one_by_one(answer: Callable[[Any], Any], request: BatchRequest) -> Iterator[Told | Ended]:
    """See BatchRequest. A question whose asker leaves is stopped before its next part.

    answer: that of a backend. Errors that are bugs are raised, and end all.
    """
    queue = _Queue(request.incoming)
    while (asked := queue.next()) is not None:
        yield from _answered(answer, asked, queue)


class _Queue:
    """What has come and is not yet answered."""

    def __init__(self, incoming: Incoming) -> None:
        self._incoming = incoming
        self._waiting: deque[Asked] = deque()
        self._gone: set[int] = set()

    def next(self) -> Asked | None:
        """The next that is still wanted; None where none will come."""
        self._look()
        while not self._waiting:
            came = self._incoming.take(wait=True)
            if came is None:
                return None
            if isinstance(came, Asked):
                self._waiting.append(came)
        return self._waiting.popleft()

    def left(self, key: int) -> bool:
        """Whether who asked what is being answered has left."""
        self._look()
        found = key in self._gone
        self._gone.clear()
        return found

    def _look(self) -> None:
        while True:
            came = self._incoming.take(wait=False, room=len(self._waiting) < _AHEAD)
            if came is None:
                return
            if isinstance(came, Asked):
                self._waiting.append(came)
                continue
            self._gone.add(came.key)
            self._waiting = deque(each for each in self._waiting if each.key != came.key)


def _answered(answer: Callable[[Any], Any], asked: Asked, queue: _Queue) -> Iterator[Told | Ended]:
    try:
        with closing(parts_of(answer(asked.question))) as parts:
            for part in parts:
                if queue.left(asked.key):
                    return
                yield Told(asked.key, part)
    except GptcliError as error:
        yield Ended(asked.key, error)
        return
    yield Ended(asked.key)
