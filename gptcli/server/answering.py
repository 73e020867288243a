"""From questions to an HTTP answer: whole, or event by event, stopped where the client leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from sse_starlette import EventSourceResponse
from sse_starlette.sse import AppStatus, SendTimeoutError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from gptcli.server.answers import Answers
from gptcli.server.desk import Desk
from gptcli.server.problems import ProblemError, problem_of
from gptcli.server.tally import tally_of
from gptcli.types.question import Question

#: Seconds for the first part of a stream, before which an error still has its own status.
FIRST = 10.0
#: Seconds between pieces of a stream for each question that is open, and at most: what comes in
#: between goes in one. Nobody sees it, and a piece for each token of each client would take a core
#: from those who compute.
PACE, MOST_PACE = 0.009, 0.15
#: Seconds between looks at an answer that nobody sees before it is whole.
_LOOK = 0.25
#: Seconds in which a client must take a piece of a stream.
SEND_TIMEOUT = 30.0
#: Seconds between comments that keep a stream alive while nothing comes.
PING = 15
#: Never seen by anybody: the client is gone.
LEFT = 499

_JSON = json.JSONEncoder(allow_nan=False)

T = TypeVar("T")

# Streams go on to their end when the server is told to leave; `running` sees to it.
AppStatus.enable_automatic_graceful_drain = False


class Reply(Protocol):
    """How answers look in one of OpenAI's languages; takes their parts as they come."""

    def take(self, question: int, part: Any) -> None:
        """A part of the answer to a question."""
        ...

    def events(self) -> list[dict[str, Any]]:
        """The events of a stream that what was taken since the last ones makes."""
        ...

    def last(self) -> list[dict[str, Any]]:
        """The events that end the stream."""
        ...

    def whole(self) -> dict[str, Any]:
        """All of it, after the last part."""
        ...


async def answered(
    request: Request, desk: Desk, questions: Sequence[Question[Any]], reply: Reply, *, stream: bool
) -> Response:
    """Ask them all at once, and answer as `reply` says. Raises what `problem_of` knows."""
    answers = desk.ask_all(questions)
    try:
        if not stream:
            await unless_left(request, _all(answers, reply))
            return JSONResponse(reply.whole())
        try:
            await unless_left(request, asyncio.wait_for(answers.news(), FIRST))
        except TimeoutError:
            pass
        else:
            # What has failed by now has a status of its own.
            _take(answers, reply)
        sent = _sent(request, desk, answers, reply)
        return _Stream(sent, ping=PING, send_timeout=SEND_TIMEOUT)
    except BaseException:
        await answers.aclose()
        raise


async def unless_left(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What the work gives. Where the client leaves before, it is cancelled: ProblemError 499."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ProblemError(LEFT, "the client has left")
        return working.result()
    finally:
        leaving.cancel()
        working.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(request: Request) -> None:
    """Until the client is gone; the body was read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _take(answers: Answers, reply: Reply) -> None:
    """All that has come."""
    for part in answers.take():
        reply.take(*part)


async def _all(answers: Answers, reply: Reply) -> None:
    try:
        while not answers.over:
            await answers.news()
            _take(answers, reply)
            await answers.rest(_LOOK)
        # An error that came last is raised here.
        _take(answers, reply)
    finally:
        await answers.aclose()


async def _sent(
    request: Request, desk: Desk, answers: Answers, reply: Reply
) -> AsyncGenerator[bytes, None]:
    """The lines of a stream; an error becomes its last event."""
    try:
        while True:
            over = answers.over
            # An error that came last is raised here.
            _take(answers, reply)
            events = reply.events()
            if over:
                yield b"".join([*map(_line, [*events, *reply.last()]), b"data: [DONE]\n\n"])
                return
            if events:
                yield b"".join(map(_line, events))
                await answers.rest(min(PACE * max(desk.open, 1), MOST_PACE))
            if not answers.over:
                await answers.news()
    except Exception as error:
        problem = problem_of(error)
        tally_of(request.scope).failed = problem.message
        yield _line(problem.content)
        if problem.status == 500:
            raise
    finally:
        await answers.aclose()


def _line(event: dict[str, Any]) -> bytes:
    return b"data: " + _JSON.encode(event).encode() + b"\n\n"


class _Stream(EventSourceResponse):
    """Server-sent events; a client that does not take them is left."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            tally_of(scope).failed = f"took nothing for {SEND_TIMEOUT:g} s"
            # Nothing more can be said to it: the connection is closed by whoever sees this.
            raise ConnectionAbortedError from None
