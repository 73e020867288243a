"""A model that writes while the screen stays alive."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from queue import SimpleQueue
from typing import Any, TypeAlias

from gptcli.backends import Backend
from gptcli.backends.base import parts_of
from gptcli.errors import UsageError
from gptcli.plain import dataclass
from gptcli.types.completion import Event, Request
from gptcli.types.question import Question
from gptcli.types.score import Score, ScoreRequest

#: How long a stopped answer may take to be over when one leaves, in seconds: a server may hang.
_PATIENCE = 3.0
_LOGPROBS = "--logprobs"


@dataclass(frozen=True)
class Over:
    """An answer is over: whole, stopped, or by an error."""

    error: BaseException | None = None


#: What is told of an answer.
Heard: TypeAlias = Event | Score | Over


class Grower:
    """One answer at a time, in a thread of its own.

    hear: is told each part of an answer and then Over, from that thread.
    """

    def __init__(self, backend: Backend, hear: Callable[[Heard], None]) -> None:
        self._backend, self._hear = backend, hear
        self._asked: SimpleQueue[Question[Any] | None] = SimpleQueue()
        self._stopped = threading.Event()
        self._tells_logprobs = True
        # A server that never answers keeps nobody from leaving.
        self._thread = threading.Thread(target=self._run, name="loom", daemon=True)
        self._thread.start()

    @property
    def judges(self) -> bool:
        """Whether it can be asked how probable a text is."""
        return self._backend.supports(ScoreRequest)

    def start(self, question: Question[Any]) -> None:
        """Ask, once the answer before is over."""
        self._stopped.clear()
        self._asked.put(question)

    def stop(self) -> None:
        """Have the answer end after the token that is under way; what came stands."""
        self._stopped.set()

    def close(self) -> None:
        """Stop, and wait for it."""
        self.stop()
        self._asked.put(None)
        self._thread.join(_PATIENCE)

    def _run(self) -> None:
        while (question := self._asked.get()) is not None:
            error: BaseException | None = None
            try:
                self._answer(question)
            # Whatever it is, it is told where it is seen.
            except BaseException as raised:
                error = raised
            self._hear(Over(error))

    def _answer(self, request: Question[Any]) -> None:
        if not isinstance(request, Request):
            self._pass_on(request)
            return
        if not self._tells_logprobs:
            request = replace(request, logprobs=None)
        try:
            self._pass_on(request)
        except UsageError as error:
            # Some servers tell none: then there are no numbers, and texts all the same.
            if not error.subject.startswith(_LOGPROBS) or request.logprobs is None:
                raise
            self._tells_logprobs = False
            self._pass_on(replace(request, logprobs=None))

    def _pass_on(self, question: Question[Any]) -> None:
        with closing(parts_of(self._backend.answer(question))) as parts:
            for part in parts:
                self._hear(part)
                if self._stopped.is_set():
                    return
