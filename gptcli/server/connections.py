"""Connections of a server, each and all of them bounded: their number, their time, their bytes.

What is read before a request is one has no end by itself: uvicorn waits for the rest of a head
for as long as the other side likes, keeps all of it, and takes connections until the system has no
more.
"""

from __future__ import annotations

import asyncio
import json
import sys

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gptcli.server.problems import ProblemError

#: Connections at once, where the system gives this process twice as many files. For one more, the
#: one that has waited longest for a request is closed.
MOST = 512
#: Seconds from a connection's begin, or from the first byte after an answer, to the end of a head.
PATIENCE = 15.0
#: Bytes that may come of nothing but heads, before one is whole: browsers' are a tenth of it.
HEAD = 64 << 10


class Bounded(HttpToolsProtocol):
    """A connection; uvicorn makes one for each."""

    _waiting: asyncio.TimerHandle | None = None
    _bare = 0
    _moved = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(transport)
        most = _most()
        if len(self.connections) > most and not self._make_room():
            self._refuse(ProblemError(503, f"{most} connections are open", code="overloaded"))
            return
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._wait_no_longer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self.transport.is_closing():
            return
        self._moved = False
        super().data_received(data)
        self._bare = 0 if self._moved else self._bare + len(data)
        if self._bare > HEAD:
            self._refuse(ProblemError(431, f"the head has more than {HEAD} bytes"))
        elif self._waiting is None and not self._answering:
            self._wait()

    def on_headers_complete(self) -> None:
        """See httptools."""
        self._wait_no_longer()
        self._moved = True
        super().on_headers_complete()

    def on_header(self, name: bytes, value: bytes) -> None:
        """See httptools. What follows a body is in no request's head, and of no use."""
        if "path" not in self.scope:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """See httptools."""
        self._moved = True
        super().on_body(body)

    @property
    def waiting_since(self) -> float | None:
        """When it will have waited for too long; None while a request is answered."""
        if self._waiting is not None:
            return self._waiting.when() - PATIENCE
        idle = self.timeout_keep_alive_task
        return None if idle is None else idle.when() - self.timeout_keep_alive

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(PATIENCE, self._too_slow)

    def _wait_no_longer(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _too_slow(self) -> None:
        if self._bare:
            self._refuse(ProblemError(408, f"the head did not arrive within {PATIENCE:g} s"))
        else:
            # Whoever keeps a connection in store has asked nothing, and expects no answer.
            self.transport.close()

    def _make_room(self) -> bool:
        """Close whoever has waited longest; False where all are answered."""
        since = {
            each: each.waiting_since
            for each in self.connections
            if isinstance(each, Bounded) and each is not self
        }
        idle = {each: when for each, when in since.items() if when is not None}
        if not idle:
            return False
        first = min(idle, key=idle.__getitem__)
        self.connections.discard(first)
        first.transport.abort()
        return True

    def _refuse(self, problem: ProblemError) -> None:
        """Say why, where nothing else is being said, and hang up."""
        self._wait_no_longer()
        if not self._answering:
            body = json.dumps(problem.content).encode()
            answer = problem.response()
            lines = [f"HTTP/1.1 {problem.status} Refused", "Connection: close"]
            lines += [f"{name}: {value}" for name, value in answer.headers.items()]
            self.transport.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        self.transport.close()


def _most() -> int:
    if sys.platform == "win32":
        return MOST
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if soft == resource.RLIM_INFINITY else max(1, min(MOST, soft // 2))
