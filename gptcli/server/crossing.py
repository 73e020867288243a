"""The two ways across: questions to the engine's thread, what it tells back to the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from gptcli.types.batch import Asked, Gone


class Line:
    """Questions on their way to the engine's thread, in the order in which they came.

    A question whose asker leaves before it was taken is never seen.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, Asked | Gone] = {}
        self._changed = threading.Condition()
        self.over = False

    @property
    def leaving(self) -> int:
        """How many have left and are still in the engine's hands."""
        with self._changed:
            return sum(isinstance(each, Gone) for each in self._waiting.values())

    def put(self, asked: Asked) -> None:
        """Add a question to the end."""
        with self._changed:
            self._waiting[asked.key] = asked
            self._changed.notify()

    def leave(self, key: int) -> None:
        """Whoever asked has left."""
        with self._changed:
            if self._waiting.pop(key, None) is None:
                self._waiting[key] = Gone(key)
                self._changed.notify()

    def end(self) -> None:
        """No more will come; what waits is still taken."""
        with self._changed:
            self.over = True
            self._changed.notify()

    def clear(self) -> None:
        """Forget what waits."""
        with self._changed:
            self._waiting.clear()

    def wait_anew(self) -> None:
        """Until a question comes; to whoever takes it nobody has ever left."""
        with self._changed:
            while not self.over:
                for each in [each for each in self._waiting.values() if isinstance(each, Gone)]:
                    del self._waiting[each.key]
                if self._waiting:
                    return
                self._changed.wait()

    def take(self, *, wait: bool) -> Asked | Gone | None:
        """See types.batch.Incoming."""
        with self._changed:
            while wait and not self._waiting and not self.over:
                self._changed.wait()
            first = next(iter(self._waiting), None)
            return None if first is None else self._waiting.pop(first)


class Mailbox:
    """What the engine's thread tells, carried over to the event loop many at a time."""

    def __init__(self, deliver: Callable[[Any], None]) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._deliver = deliver
        self._letters: deque[Any] = deque()
        self._called = False
        self._lock = threading.Lock()

    def put(self, letter: Any) -> None:
        """In the engine's thread."""
        with self._lock:
            self._letters.append(letter)
            if self._called or self.loop is None:
                return
            self._called = True
        try:
            self.loop.call_soon_threadsafe(self._empty)
        except RuntimeError:
            # The loop is closed: nobody is left to be told.
            self._letters.clear()

    def _empty(self) -> None:
        with self._lock:
            letters, self._letters = self._letters, deque()
            self._called = False
        for letter in letters:
            self._deliver(letter)
