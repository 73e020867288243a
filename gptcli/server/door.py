"""The way in for other gptcli processes of this user: any question, answered as it would be there.

A Unix socket. The server greets, and then takes one question after the other, a line each, and
tells the answer in lines: its parts, and `Over`, an error, or `Busy` where none was begun. While it
works an empty line now and then says that it is alive. Who hangs up is not worked for any more.
What the lines are, `formats.wire` says; the client is `backends.served`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from gptcli.backends.served import place
from gptcli.backends.served.connection import ALIVE, LONGEST_QUESTION, other
from gptcli.errors import GptcliError, ResourceError
from gptcli.formats import wire
from gptcli.server import status
from gptcli.server.answers import SlowError
from gptcli.server.desk import BrokenError, BusyError, Desk
from gptcli.server.place import Place
from gptcli.types.compute import Compute
from gptcli.types.question import Question
from gptcli.types.served import Busy, Greeting, Over, Status, StatusRequest

#: Connections at once; who comes after them is not greeted, and does without.
_CALLERS = 128
#: Servers of the same model and settings that are told apart; more are not listed.
_SAME = 64
#: Questions of whose answers each part is short.
SHORT = ("Request", "ChatRequest", "FewShotQueries", "ScoreEventsRequest")


class Door:
    """Answers at a socket, by a desk that was started on the running event loop."""

    def __init__(self, desk: Desk, greeting: Greeting, how: Callable[[], Status]) -> None:
        """how: it is, at the moment."""
        self._desk, self._greeting, self._how = desk, greeting, how
        self._server: asyncio.AbstractServer | None = None
        self._callers: set[asyncio.Task[None]] = set()

    async def open(self, path: Path) -> None:
        """Listen at a path, which nobody else listens at (see `backends.served.place`).

        Raises OSError.
        """
        path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX)
        # What is bound gets the mode at once: the directory is this user's alone in any case.
        before = os.umask(0o177)
        try:
            listening.bind(os.fspath(path))
        finally:
            os.umask(before)
        self._server = await asyncio.start_unix_server(
            self._called, sock=listening, limit=LONGEST_QUESTION
        )

    async def close(self) -> None:
        """Listen no longer, and hang up."""
        if self._server is not None:
            self._server.close()
        for caller in list(self._callers):
            caller.cancel()
        await asyncio.gather(*self._callers, return_exceptions=True)

    async def _called(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._callers.add(task)
        try:
            who = other(writer.get_extra_info("socket"))
            if who in (None, os.geteuid()) and len(self._callers) <= _CALLERS:
                await _Call(self._desk, self._how, reader, writer).serve(self._greeting)
        except (OSError, asyncio.CancelledError):
            # Whoever called is gone, or we are.
            pass
        finally:
            self._callers.discard(task)
            writer.close()


@asynccontextmanager
async def beside(
    desk: Desk, compute: Compute, greeting: Greeting, address: str
) -> AsyncIterator[None]:
    """A door for as long as another server runs: of several that serve the same, one for each.

    address: that of the other's HTTP.
    """
    own = _taken(compute)
    if own is None:
        yield
        return
    first = replace(status.begun(compute, own.socket), address=address)
    door = Door(desk, greeting, lambda: status.now(first, desk))
    try:
        with suppress(OSError):
            await door.open(own.socket)
        yield
    finally:
        await door.close()
        own.leave()


def _taken(compute: Compute) -> Place | None:
    with suppress(ResourceError, OSError):
        for number in range(1, _SAME + 1):
            own = Place(place.make(compute, number))
            if own.take():
                return own
    return None


class _Call:
    """One connection."""

    def __init__(
        self,
        desk: Desk,
        how: Callable[[], Status],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._desk, self._how = desk, how
        self._reader, self._writer = reader, writer
        self._last = 0.0

    async def serve(self, greeting: Greeting) -> None:
        """Greet, and answer until the other side hangs up."""
        await self._say(greeting)
        while True:
            try:
                line = await self._reader.readuntil(b"\n")
                question = wire.value(line)
            except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                return
            except wire.WireError as error:
                await self._say(Busy(f"does not understand that: {error}"))
                return
            if isinstance(question, StatusRequest):
                await self._say(self._how())
                await self._say(Over())
            elif not await self._answered(question):
                return

    async def _answered(self, question: Any) -> bool:
        """Answer a question; False where the other side has hung up meanwhile."""
        gone = asyncio.ensure_future(self._reader.read(1))
        answering = asyncio.ensure_future(self._answer(question))
        living = asyncio.ensure_future(self._live())
        try:
            await asyncio.wait({gone, answering}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (gone, answering, living):
                if not task.done():
                    task.cancel()
            await asyncio.wait({gone, answering, living})
        failed = None if answering.cancelled() else answering.exception()
        if failed is not None and not isinstance(failed, OSError):
            raise failed
        if answering.cancelled() or failed is not None or not gone.cancelled():
            # Nothing is said to us before an answer is over: they have hung up.
            return False
        await self._say(answering.result())
        return True

    async def _answer(self, question: Any) -> Over | Busy | GptcliError:
        """Tell the parts; what is left to be said when that is done."""
        if not isinstance(question, Question):
            return Busy("is asked no question")
        begun = False
        try:
            async with self._desk.ask(question) as answer:
                async for part in answer:
                    begun = True
                    if type(question).__name__ in SHORT:
                        await self._say(part)
                    else:
                        # Millions of numbers, which others need not wait for.
                        await self._send(await asyncio.to_thread(wire.line, part))
        except GptcliError as error:
            return error
        except BusyError as error:
            return GptcliError("server", str(error)) if begun else Busy(str(error))
        except (BrokenError, SlowError) as error:
            return GptcliError("server", str(error) or "failed by a bug, of which its log tells")
        except wire.WireError as error:
            return Busy(f"has no words for the answer: {error}")
        return Over()

    async def _say(self, value: Any) -> None:
        await self._send(wire.line(value))

    async def _send(self, line: bytes) -> None:
        self._last = time.monotonic()
        self._writer.write(line)
        await self._writer.drain()

    async def _live(self) -> None:
        with suppress(OSError):
            while True:
                await asyncio.sleep(ALIVE)
                if time.monotonic() - self._last >= ALIVE:
                    self._writer.write(b"\n")
