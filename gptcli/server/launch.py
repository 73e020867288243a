"""Servers in the background, from outside: starting one, seeing which there are, ending them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from pathlib import Path

from gptcli import children, config, signals
from gptcli.backends.served import place
from gptcli.backends.served.connection import Connection, GoneError
from gptcli.backends.served.standing import still_stands
from gptcli.errors import GptcliError, ResourceError
from gptcli.formats import wire
from gptcli.server.place import Place
from gptcli.types.compute import Compute
from gptcli.types.events import Notice, Progress
from gptcli.types.served import Busy, Greeting, Launch, Over, Status, StatusRequest

#: What the process begins with: the places of modules, and not the working directory.
_BEGIN = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    " from gptcli.server.background import main; main(sys.argv[2])"
)
#: Seconds in which a server that was told to leave is gone, and between looks at whether it is.
_LEAVES, _LOOK = 40.0, 0.05
#: Seconds between looks at what another process is about to begin.
_WAIT = 0.2
#: Bytes of a line that a process says of itself.
_LONGEST = 1 << 24


def start(
    compute: Compute, idle_seconds: float | None
) -> Generator[Progress | Notice, None, tuple[Status, bool]]:
    """A server for a model and settings, once it is ready; False where it ran already.

    Yields what opening the model tells. Raises what that raises, ResourceError where there can be
    no server. Closing the generator ends what was begun.
    """
    socket = place.make(compute)
    log = config.data_dir() / "servers" / f"{socket.stem}.log"
    launch = Launch(compute, str(log), idle_seconds)
    new = False
    while True:
        running = _look(socket)
        if running is not None and (new or still_stands(compute.model, running[1])):
            return running[0], new
        if new:
            raise ResourceError("server", "was ready and is gone", f"its log is {log}")
        if running is not None:
            end([running[0]])
        elif not _is_free(socket):
            yield Progress("waiting for another gptcli that is about to serve the same", 0)
            time.sleep(_WAIT)
            continue
        new = yield from _launch(launch)


def running() -> list[Status]:
    """All that answer, those that began first before others; sockets of dead ones are removed."""
    found = []
    for socket in place.sockets():
        seen = _look(socket)
        if seen is not None:
            found.append(seen[0])
        else:
            _is_free(socket)
    return sorted(found, key=lambda each: each.since)


def end(servers: Sequence[Status]) -> None:
    """Have servers leave, and wait until they are gone. Raises ResourceError."""
    for each in servers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each.pid, signal.SIGTERM)
    until = time.monotonic() + _LEAVES
    for each in servers:
        # A process that is gone may be listed until its parent has looked; its lock is not held.
        while not _is_free(Path(each.socket)):
            if time.monotonic() > until:
                raise ResourceError("server", f"process {each.pid} does not end")
            time.sleep(_LOOK)


def _look(socket: Path) -> tuple[Status, Greeting] | None:
    """The server at a socket; None where nobody answers."""
    try:
        connection = Connection(socket)
    except GoneError:
        return None
    with contextlib.closing(connection):
        try:
            (found,) = connection.ask(StatusRequest())
        except (GoneError, GptcliError, ValueError):
            return None
    return (found, connection.greeting) if isinstance(found, Status) else None


def _is_free(socket: Path) -> bool:
    """Whether no process has a socket's place; what is left over of one is removed."""
    own = Place(socket)
    try:
        if not own.take():
            return False
    except OSError:
        return True
    own.leave()
    return True


def _launch(launch: Launch) -> Generator[Progress | Notice, None, bool]:
    """Start the process, until it is ready; False where another one was faster."""
    argument = wire.line(launch).decode(errors="surrogateescape")
    process: subprocess.Popen[bytes] | None = None
    ready = False
    try:
        # A signal must not come between a process and our knowing of it.
        with signals.held():
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", _BEGIN, json.dumps(children.search_path()), argument],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        assert process.stdout is not None
        with process.stdout as said:
            while line := said.readline(_LONGEST):
                told = wire.value(line)
                if isinstance(told, GptcliError):
                    raise told
                if isinstance(told, Busy):
                    return False
                if isinstance(told, Over):
                    ready = True
                    break
                yield told
    except wire.WireError as error:
        raise ResourceError("server", f"said what is none of our words ({error})") from None
    finally:
        if process is not None and not ready:
            process.terminate()
            process.wait()
    if not ready:
        raise ResourceError("server", "ended before it was ready", f"its log is {launch.log}")
    # It is nobody's child, as far as this process is concerned.
    process.returncode = 0
    return True
