"""Asking a server, and whatever stands in for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from gptcli.backends.base import Backend
from gptcli.backends.served.connection import Connection, GoneError
from gptcli.backends.served.crossing import STREAMS, crossing, whole
from gptcli.errors import NetworkError
from gptcli.types.batch import BatchRequest
from gptcli.types.completion import Request, Usage
from gptcli.types.question import Question

if TYPE_CHECKING:
    from gptcli.types.served import Greeting

A = TypeVar("A")

#: Questions at once where nobody says how many: as many as a server's engine takes.
_MOST = 64


class ServedBackend:
    """A connection to a server, and the place that stands in for it.

    Of what a question came to nothing of, since the server was gone or busy before it said a word,
    the other place never knows. After the first word a server that is gone is an error.
    """

    def __init__(self, connection: Connection, elsewhere: Callable[[], Backend]) -> None:
        self._socket = connection.path
        self.greeting: Greeting = connection.greeting
        self._free = [connection]
        self._open_elsewhere = elsewhere
        self._elsewhere: Backend | None = None
        self._one = threading.Lock()
        self._asked = 0

    def answer(self, question: Question[A]) -> A:
        """See Backend.answer."""
        if isinstance(question, BatchRequest):
            from gptcli.backends.side_by_side import side_by_side

            return side_by_side(self.answer, question, _MOST)  # type: ignore[return-value]
        if type(question).__name__ in STREAMS:
            return self._events(question)  # type: ignore[return-value]
        there = crossing(question).there
        if there is None:
            return self._here(question)
        try:
            found: A = whole(there, self._parts(there))
        except _UntouchedError:
            return self._here(question)
        return found

    def supports(self, kind: type[Question[Any]]) -> bool:
        """See Backend.supports: what the server does not answer the other place does."""
        from gptcli.backends.local import ANSWERS

        return kind.__name__ in ANSWERS

    def close(self) -> None:
        """See Backend.close."""
        while self._free:
            self._free.pop().close()
        if self._elsewhere is not None:
            self._elsewhere.close()

    def _here(self, question: Question[A]) -> A:
        """What the other place answers. It takes one caller at a time, of many threads, too."""
        if threading.current_thread() is threading.main_thread():
            return self._opened().answer(question)
        with self._one:
            found = self._opened().answer(question)
            return iter(list(found)) if isinstance(found, Iterator) else found  # type: ignore[return-value]

    def _opened(self) -> Backend:
        if self._elsewhere is None:
            self._elsewhere = self._open_elsewhere()
        return self._elsewhere

    def _events(self, question: Question[Any]) -> Iterator[Any]:
        crossed = crossing(question)
        if crossed.there is None:
            yield from self._here(crossed.here)
            return
        begins = self._begins(question)
        try:
            for part in self._parts(crossed.there):
                # What another process left in the server's memory is not this one's.
                mine = begins and isinstance(part, Usage)
                yield replace(part, reused_tokens=0) if mine else part
        except _UntouchedError:
            yield from self._here(crossed.here)
            return
        if crossed.error is not None:
            raise crossed.error

    def _begins(self, question: Question[Any]) -> bool:
        """Whether in a process of its own nothing would have been computed before."""
        self._asked += 1
        return self._asked == 1 or isinstance(question, Request)

    def _parts(self, question: Question[Any]) -> Iterator[Any]:
        """What the server answers, part by part. Leaving it closes the connection."""
        connection, begun = self._any(), False
        try:
            connection = connection or Connection(self._socket)
            for part in connection.ask(question):
                begun = True
                yield part
            self._free.append(connection)
            connection = None
        except GoneError as error:
            if not begun:
                raise _UntouchedError from None
            raise NetworkError("server", f"{error} in the middle of an answer") from None
        finally:
            if connection is not None:
                connection.close()

    def _any(self) -> Connection | None:
        """A connection that nobody uses, where there is one."""
        try:
            return self._free.pop()
        except IndexError:
            return None


class _UntouchedError(Exception):
    """Nothing of an answer has come, and nothing will."""
