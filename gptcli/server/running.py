"""Running the app until it is told to end: streams go on to their end, for a while."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from gptcli.server.connections import Bounded
from gptcli.server.service import Service

#: Seconds that open answers have when the server is told to end.
GRACE = 30.0
#: Seconds that an idle connection stays open.
_KEEP_ALIVE = 30

#: Connections that are taken before any of them is looked at.
_AT_ONCE = 128


class Running(uvicorn.Server):
    """A server of the app. A first signal ends it in order, a second one at once."""

    def __init__(self, app: Starlette, log: Callable[[str], None], *, grace: float = GRACE) -> None:
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http=Bounded,
            backlog=_AT_ONCE,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE,
        )
        super().__init__(config)
        self._service: Service = app.state.service
        # One that a client keeps open and idle costs a first question a moment, no more.
        self._service.desk.connected = lambda: len(self.server_state.connections)
        self._grace = grace
        logger = logging.getLogger("uvicorn.error")
        logger.handlers, logger.propagate = [_Lines(self._told)], False
        self._log = log

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Told by a signal to end."""
        # It knows Ctrl-C alone as a second one.
        self.force_exit = self.should_exit
        super().handle_exit(sig, frame)

    def _told(self, line: str) -> None:
        # Of what a second signal breaks off nobody wants to hear.
        if not self.force_exit:
            self._log(line)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End: what is open has some time, then it is told that it is over."""
        ending = asyncio.create_task(self._end_answers())
        try:
            await super().shutdown(sockets)
        finally:
            ending.cancel()

    async def _end_answers(self) -> None:
        await asyncio.sleep(self._grace)
        await self._service.desk.close()


def serve(app: Starlette, listeners: Sequence[socket.socket], log: Callable[[str], None]) -> None:
    """Answer on all of them, until a signal comes, which then takes its effect."""
    Running(app, log).run(sockets=list(listeners))


class _Lines(logging.Handler):
    """uvicorn's errors, a line each."""

    def __init__(self, log: Callable[[str], None]) -> None:
        super().__init__(logging.ERROR)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """See logging."""
        error = record.exc_info[1] if record.exc_info else None
        # Of a client that was left the request's own line tells.
        if not isinstance(error, ConnectionAbortedError):
            told = "" if error is None else f": {type(error).__name__}: {error}"
            self._log(f"{record.getMessage().splitlines()[0]}{told}")
