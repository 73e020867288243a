"""A line to a server: it greets, takes one question after the other, and tells the answers."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from gptcli.errors import GptcliError
from gptcli.formats import wire
from gptcli.types.question import Question
from gptcli.types.served import Busy, Greeting, Over

#: Seconds within which a server greets. It does nothing else meanwhile.
GREETS = 2.0
#: Seconds between the signs of life that it gives while it works; after some it is given up.
ALIVE, SILENT = 5.0, 60.0
#: Bytes of a question. What is longer is not asked here.
LONGEST_QUESTION = 64 << 20
#: Bytes of a line of an answer: all attention weights that may be asked for are under this.
_LONGEST_LINE = 1 << 30


class GoneError(Exception):
    """The server is not there, or not any more, or is none of ours."""


class Connection:
    """One connection; a question that is left in its midst ends it."""

    def __init__(self, path: Path) -> None:
        """Connects, and hears the greeting. Raises GoneError."""
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX)
        self._file: BinaryIO = self._socket.makefile("rb")
        try:
            self._socket.settimeout(GREETS)
            self._socket.connect(os.fspath(path))
            if other(self._socket) not in (None, os.geteuid()):
                raise GoneError("belongs to somebody else")
            greeting = self._line()
            if not isinstance(greeting, Greeting):
                raise GoneError("says something else than a server of ours")
        except OSError as error:
            self.close()
            raise GoneError(error.strerror or str(error)) from None
        except BaseException:
            self.close()
            raise
        self.greeting: Greeting = greeting

    def ask(self, question: Question[Any]) -> Iterator[Any]:
        """The parts of the answer. Raises GoneError, and the errors of the answer."""
        try:
            line = wire.line(question)
        except wire.WireError as error:
            raise GoneError(f"cannot be asked this: {error}") from None
        if len(line) > LONGEST_QUESTION:
            raise GoneError("cannot be asked anything so long")
        try:
            self._socket.settimeout(SILENT)
            self._socket.sendall(line)
            while not isinstance(part := self._line(), Over):
                if isinstance(part, Busy):
                    raise GoneError(part.reason)
                if isinstance(part, GptcliError):
                    raise part
                yield part
        except TimeoutError:
            raise GoneError(f"said nothing for {SILENT:.0f} seconds") from None
        except OSError as error:
            raise GoneError(f"was lost ({error.strerror or error})") from None

    def close(self) -> None:
        """Hang up; the server stops what it is doing for us."""
        self._file.close()
        self._socket.close()

    def __del__(self) -> None:
        # Commands end without closing what they ask: that is this connection's to do.
        self.close()

    def _line(self) -> Any:
        """What the next line says; empty ones are signs of life."""
        while True:
            line = self._file.readline(_LONGEST_LINE)
            if not line.endswith(b"\n"):
                raise GoneError("went away")
            if line != b"\n":
                break
        try:
            return wire.value(line)
        except wire.WireError as error:
            raise GoneError(f"said what is none of our words ({error})") from None


def other(connected: socket.socket) -> int | None:
    """The user on the other side of a Unix socket; None where the system does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    # struct ucred of Linux: process, user, group.
    _, user, _ = struct.unpack("3i", connected.getsockopt(socket.SOL_SOCKET, option, 12))
    return int(user)
