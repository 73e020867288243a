"""The desk between many askers on one event loop and the one thread in which the engine runs.

An asker gives a question and takes the answer's parts as they come; the engine's thread answers
one BatchRequest, whose questions the desk hands in. Neither waits for the other: who does not
take what was told is shown out.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from gptcli.backends.base import Backend
from gptcli.server.answers import Answer, Answers, News
from gptcli.server.crossing import Line, Mailbox
from gptcli.types.batch import Asked, BatchRequest, Ended, Told
from gptcli.types.question import Question

#: How many questions may be open at a desk, those under way and those that wait.
PLACES = 256
#: How many parts of an answer may wait to be taken: a few MB.
UNREAD = 1 << 14


class BusyError(Exception):
    """All places are taken, or the desk is closing: ask again later."""


class BrokenError(Exception):
    """The engine failed by a bug while this was open. The bug itself was reported."""


class Desk:
    """Takes questions for a backend, which is asked from a thread of its own.

    All methods belong to the event loop that `start` was called in. report: told of a bug in the
    engine, in the engine's thread. most: how many are answered at once, as BatchRequest has it.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        most: int | None = None,
        places: int = PLACES,
        unread: int = UNREAD,
        report: Callable[[BaseException], None] = lambda _: None,
    ) -> None:
        self._backend, self._most, self._report = backend, most, report
        self._places, self._unread = places, unread
        #: How many connections may ask, those included whose questions are open.
        self.connected: Callable[[], int] = lambda: 0
        self._incoming = Line(lambda: self.connected())
        self._told = Mailbox(self._deliver)
        self._open: dict[int, Answer] = {}
        self._last_key = 0
        self._used = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Begin to answer, for askers on the running event loop."""
        self._told.loop = asyncio.get_running_loop()
        self._thread.start()

    @property
    def open(self) -> int:
        """How many questions are open."""
        return len(self._open)

    @property
    def idle_seconds(self) -> float:
        """For how long nothing was open."""
        return 0.0 if self._open else time.monotonic() - self._used

    def ask(self, question: Question[Any]) -> Answer:
        """The answer, to be taken part by part. Raises BusyError."""
        return self.ask_all([question]).each[0]

    def ask_all(self, questions: Sequence[Question[Any]]) -> Answers:
        """The answers to all of them, or none is asked: raises BusyError."""
        if self._incoming.over or not self._thread.is_alive():
            raise BusyError("the server is closing")
        if len(self._open) + self._incoming.leaving + len(questions) > self._places:
            raise BusyError(f"{self._places} requests are open")
        came = News(self._told, len(questions))
        return Answers([self._asked(question, came) for question in questions], came)

    async def close(self) -> None:
        """Take no more questions, let go of those that are open, and wait for the engine's thread.

        An answer that is still open ends with BusyError.
        """
        self._incoming.end()
        for answer in list(self._open.values()):
            answer.fail(BusyError("the server is closing"))
            self._leave(answer)
        # Not joined from another thread: Python would wait for its end after a second signal too.
        while self._thread.is_alive():
            await asyncio.sleep(0.01)

    def _asked(self, question: Question[Any], came: News) -> Answer:
        self._last_key += 1
        answer = Answer(self._last_key, self._leave, self._unread, came)
        self._open[answer.key] = answer
        self._incoming.put(Asked(answer.key, question))
        return answer

    def _leave(self, answer: Answer) -> None:
        """Nothing more is wanted of this answer."""
        if self._open.pop(answer.key, None) is not None:
            self._used = time.monotonic()
            self._incoming.leave(answer.key)

    def _deliver(self, told: Told | Ended | BrokenError) -> None:
        if isinstance(told, BrokenError):
            # Those that came after it was noticed fail too: they may have been taken already.
            for answer in list(self._open.values()):
                answer.fail(told)
                self._leave(answer)
            return
        if told.key not in self._open:
            return
        answer = self._open[told.key]
        if isinstance(told, Told):
            if not answer.put(told.part):
                self._leave(answer)
            return
        del self._open[told.key]
        self._used = time.monotonic()
        answer.end(told.error)

    def _run(self) -> None:
        while not self._incoming.over:
            try:
                for told in self._backend.answer(BatchRequest(self._incoming, self._most)):
                    self._told.put(told, urgent=isinstance(told, Ended))
                failed: BaseException | None = None
            except BaseException as error:
                failed = error
            if failed is None and not self._incoming.over:
                failed = RuntimeError("the engine stopped answering")
            if failed is not None:
                self._incoming.clear()
                self._told.put(BrokenError(), urgent=True)
                self._report(failed)
                # What fails at once must not do so in a circle.
                self._incoming.wait_anew()
