"""A server without a terminal: a process of its own, for other gptcli processes of this user.

`launch` starts it, and reads from its stdout, until it is ready, lines of `formats.wire`: progress,
notices, and at the end `Over`, or an error. Then it closes that, and lives until it is told to
leave, until nobody asked it anything for a while, or until the model's files are others.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

from gptcli.backends.base import Backend
from gptcli.backends.served import place
from gptcli.backends.served.offering import offered
from gptcli.backends.served.standing import still_stands
from gptcli.errors import GptcliError, ResourceError
from gptcli.formats import wire
from gptcli.server import status
from gptcli.server.desk import Desk
from gptcli.server.door import Door
from gptcli.server.log import Log
from gptcli.server.place import Place
from gptcli.tasks import ended
from gptcli.types.events import Notice
from gptcli.types.served import Busy, Greeting, Launch, Over

#: Seconds between looks at whether it is time to leave, and which a last answer has to stop in.
_LOOK, _LAST = 2.0, 5.0


def main(argument: str) -> None:
    """The process: `argument` is a Launch as a line."""
    told = _Teller()
    try:
        launch = wire.value(argument.encode(errors="surrogateescape"))
        assert isinstance(launch, Launch)
        log = Path(launch.log)
        try:
            Log(log)
        except OSError as error:
            raise ResourceError(str(log), error.strerror or str(error)) from None
        _serve(launch, told)
    except GptcliError as error:
        told.tell(error)
        raise SystemExit(error.exit_code) from None
    except MemoryError:
        told.tell(ResourceError("memory", "there is not enough of it for this model and context"))
        raise SystemExit(ResourceError.exit_code) from None


def _serve(launch: Launch, told: _Teller) -> None:
    own = Place(place.make(launch.compute))
    if not own.take():
        told.tell(Busy("another one has its place"))
        return
    try:
        backend, greeting = ended(offered(launch.compute), told.tell)
        # From here on no name is looked up: what the shell was in may go.
        os.chdir("/")
        asyncio.run(_run(launch, own, backend, greeting, told))
    finally:
        own.leave()


async def _run(
    launch: Launch, own: Place, backend: Backend, greeting: Greeting, told: _Teller
) -> None:
    leave, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, leave.set)
    desk = Desk(backend, report=lambda error: traceback.print_exception(error))
    desk.start()
    first = replace(
        status.begun(launch.compute, own.socket),
        leaves_after=launch.idle_seconds,
        log=launch.log,
    )
    door = Door(desk, greeting, lambda: status.now(first, desk))
    await door.open(own.socket)
    told.tell(Over())
    told.close()
    while not leave.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(leave.wait(), min(_LOOK, launch.idle_seconds or _LOOK))
        idle = desk.idle_seconds
        if launch.idle_seconds is not None and idle >= launch.idle_seconds:
            _note(f"leaves after {idle:.0f} seconds without a question")
            break
        if idle and not still_stands(launch.compute.model, greeting):
            _note("leaves, since the model's files are not those that it has read")
            break
    own.socket.unlink(missing_ok=True)
    await door.close()
    # An engine that cannot be stopped at once must not keep the process.
    loop.call_later(_LAST, os._exit, 0)
    await desk.close()


def _note(text: str) -> None:
    print(time.strftime("%Y-%m-%d %H:%M:%S"), text, file=sys.stderr, flush=True)


class _Teller:
    """Whoever has started us, for as long as he listens; our log has it too."""

    def __init__(self) -> None:
        # What is printed from here on goes elsewhere.
        self._to: int | None = os.dup(1)
        os.set_inheritable(self._to, False)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        os.close(nothing)

    def tell(self, value: Any) -> None:
        """Say it."""
        if isinstance(value, Notice | GptcliError):
            _note(
                str(value) if isinstance(value, GptcliError) else f"{value.subject}: {value.text}"
            )
        if self._to is not None:
            with contextlib.suppress(OSError):
                os.write(self._to, wire.line(value))

    def close(self) -> None:
        """Say no more."""
        if self._to is not None:
            os.close(self._to)
            self._to = None
