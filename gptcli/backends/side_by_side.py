"""Many questions at once, of a place that takes many callers: a thread for each that is open."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from queue import Empty, Full, Queue
from typing import Any

from gptcli.backends.base import parts_of
from gptcli.errors import GptcliError
from gptcli.types.batch import Asked, BatchRequest, Ended, Gone, Incoming, Told

#: Seconds between looks for new questions while answers are awaited.
_LOOK = 0.02
#: How many questions wait here, and how many parts of answers.
_AHEAD, _PARTS = 64, 1024


def side_by_side(
    answer: Callable[[Any], Any], request: BatchRequest, most: int
) -> Iterator[Told | Ended]:
    """See BatchRequest. Errors that are bugs are raised, and end all.

    answer: of one question; called in several threads at once. most: how many where the request
    does not say.
    """
    run = Run(answer, request.incoming, request.most or most)
    try:
        yield from run.answers()
    finally:
        run.stop()


class Run:
    """Questions under way. The threads end with the process: nothing waits for a slow place.

    answer: of one question; called in several threads at once, `most` of them.
    """

    def __init__(self, answer: Callable[[Any], Any], incoming: Incoming, most: int) -> None:
        self._answer, self._incoming, self._most = answer, incoming, most
        self._told: Queue[Told | Ended | BaseException] = Queue(_PARTS)
        self._waiting: deque[Asked] = deque()
        #: Who is answered, and what says that the asker has left.
        self._open: dict[int, threading.Event] = {}
        #: Threads that run, those of askers who left included.
        self._busy = 0
        self._over = threading.Event()

    def answers(self) -> Iterator[Told | Ended]:
        """The answers as they come, until no more questions do."""
        while True:
            self._look()
            if not (self._waiting or self._open):
                # Only where nothing is under way is there all the time in the world.
                came = self._incoming.take(wait=True)
                if came is None:
                    return
                self._note(came)
            while self._waiting and self._busy < self._most:
                self._begin(self._waiting.popleft())
            try:
                told = self._told.get(timeout=_LOOK)
            except Empty:
                continue
            if isinstance(told, BaseException):
                raise told
            wanted = told.key in self._open
            if isinstance(told, Ended):
                self._busy -= 1
                self._open.pop(told.key, None)
            if wanted:
                yield told

    def stop(self) -> None:
        """Whoever asked for all of it has left."""
        self._over.set()
        for left in self._open.values():
            left.set()

    def _look(self) -> None:
        while True:
            came = self._incoming.take(wait=False, room=len(self._waiting) < _AHEAD)
            if came is None:
                return
            self._note(came)

    def _note(self, came: Asked | Gone) -> None:
        if isinstance(came, Asked):
            self._waiting.append(came)
            return
        self._waiting = deque(each for each in self._waiting if each.key != came.key)
        left = self._open.pop(came.key, None)
        if left is not None:
            left.set()

    def _begin(self, asked: Asked) -> None:
        left = self._open[asked.key] = threading.Event()
        self._busy += 1
        threading.Thread(target=self._work, args=(asked, left), daemon=True).start()

    def _work(self, asked: Asked, left: threading.Event) -> None:
        """One question, in a thread."""
        try:
            with closing(parts_of(self._answer(asked.question))) as parts:
                for part in parts:
                    if left.is_set():
                        break
                    self._put(Told(asked.key, part))
            self._put(Ended(asked.key))
        except GptcliError as error:
            self._put(Ended(asked.key, error))
        except BaseException as error:
            self._put(error)

    def _put(self, told: Told | Ended | BaseException) -> None:
        while not self._over.is_set():
            try:
                return self._told.put(told, timeout=1.0)
            except Full:
                continue
        return None
