"""The two ways across: questions to the engine's thread, what it tells back to the event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gptcli.types.batch import Asked, Gone

#: Letters that gather while nobody waits for one.
_MANY = 1024
#: Seconds that a first question waits for others that are at the door, and between looks at it.
GATHER, _LOOK = 0.01, 0.001


class Line:
    """Questions on their way to the engine's thread, in the order in which they came.

    A question whose asker leaves before it was taken is never seen. expected: how many may be asked
    within a moment, those that wait included; a first one waits that long, since many that are read
    at once take less time than one after another.
    """

    def __init__(self, expected: Callable[[], int] = lambda: 0) -> None:
        self._expected = expected
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

    def take(self, *, wait: bool, room: bool = True) -> Asked | Gone | None:
        """See types.batch.Incoming."""
        with self._changed:
            if wait:
                self._wait()
            wanted = (key for key, each in self._waiting.items() if room or isinstance(each, Gone))
            first = next(wanted, None)
            return None if first is None else self._waiting.pop(first)

    def _wait(self) -> None:
        """Until a question comes, and others with it."""
        while not self._waiting and not self.over:
            self._changed.wait()
        end = time.monotonic() + GATHER
        while not self.over and self._expected() > len(self._waiting) and time.monotonic() < end:
            self._changed.wait(_LOOK)


class Mailbox:
    """What the engine's thread tells, carried over to the event loop many at a time.

    The loop is only called where somebody there waits for a letter, one is urgent, or many have
    gathered: a call after each step takes a core from the engine, and what it holds of Python.
    """

    def __init__(self, deliver: Callable[[Any], None]) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._deliver = deliver
        self._letters: deque[Any] = deque()
        self._called = False
        self._waiting = 0

    def put(self, letter: Any, *, urgent: bool = False) -> None:
        """In the engine's thread."""
        self._letters.append(letter)
        # No lock: who waits says so before it looks, and what is put is there before this asks.
        wanted = urgent or self._waiting or len(self._letters) > _MANY
        if self._called or self.loop is None or not wanted:
            return
        self._called = True
        try:
            self.loop.call_soon_threadsafe(self.empty)
        except RuntimeError:
            # The loop is closed: nobody is left to be told.
            self._letters.clear()

    def empty(self) -> None:
        """Deliver what has come, on the event loop."""
        self._called = False
        for _ in range(len(self._letters)):
            self._deliver(self._letters.popleft())

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """Deliver letters at once while in this context, those that are there first."""
        self._waiting += 1
        try:
            self.empty()
            yield
        finally:
            self._waiting -= 1
