"""The side of a cluster that answers: a backend in a process of Ray's."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from typing import Any

from gptcli.backends.base import Backend
from gptcli.backends.place import Place
from gptcli.errors import GptcliError
from gptcli.tasks import ended
from gptcli.types.batch import Asked, BatchRequest, Gone, Told
from gptcli.types.compute import Compute

#: (key, the parts of the answer, the error that ended it).
Found = tuple[int, list[Any], GptcliError | None]


class Worker:
    """A backend in a process of its own; Ray runs its methods in threads."""

    def __init__(self, compute: Compute, place: Place | None, directory: str) -> None:
        """place: the server that answers, None for the worker's own machine.

        directory: where the command was given, so that paths mean the same if they are there.
        """
        with contextlib.suppress(OSError):
            os.chdir(directory)
        self._backend = _opened(compute, place)
        self._incoming = _Incoming()
        self._found: queue.SimpleQueue[Found | BaseException] = queue.SimpleQueue()
        threading.Thread(target=self._run, daemon=True).start()

    def ask(self, asked: list[Asked]) -> None:
        """Add questions to those that are being answered."""
        for each in asked:
            self._incoming.put(each)

    def found(self) -> list[Found]:
        """The answers that have come; waits for one."""
        first = self._found.get()
        found = [first]
        while not self._found.empty():
            found.append(self._found.get())
        for each in found:
            if isinstance(each, BaseException):
                raise each
        return found  # type: ignore[return-value]

    def _run(self) -> None:
        parts: dict[int, list[Any]] = {}
        try:
            for event in self._backend.answer(BatchRequest(self._incoming)):
                if isinstance(event, Told):
                    parts.setdefault(event.key, []).append(event.part)
                else:
                    self._found.put((event.key, parts.pop(event.key, []), event.error))
        except BaseException as error:
            self._found.put(error)


def _opened(compute: Compute, place: Place | None) -> Backend:
    if place is not None:
        from gptcli.backends.remote import RemoteBackend

        return RemoteBackend(place)
    from gptcli.backends import open_backend

    return ended(open_backend(compute))


class _Incoming:
    """Questions as the driver sends them; there is no end of them but the worker's."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Asked] = queue.SimpleQueue()

    def put(self, asked: Asked) -> None:
        self._queue.put(asked)

    def take(self, *, wait: bool, room: bool = True) -> Asked | Gone | None:
        if not room:
            return None  # rows do not leave
        try:
            return self._queue.get(block=wait)
        except queue.Empty:
            return None
