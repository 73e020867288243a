"""Lines of bytes from a file or a pipe, which can be asked whether it has one yet."""

from __future__ import annotations

import select
from typing import IO, cast

_PIECE = 1 << 16


class LineSource:
    """Reads what has come and no more, so that lines of a slow pipe are there when they come."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._held = b""

    def readline(self, longest: int) -> bytes:
        """The next line with its end, at most `longest` bytes of it; empty at the end."""
        while b"\n" not in self._held and len(self._held) < longest:
            # read1 is not in IO, but every binary file that we open has it.
            piece = cast(bytes, self._file.read1(_PIECE))  # type: ignore[attr-defined]
            if not piece:
                break
            self._held += piece
        end = self._held.find(b"\n") + 1 or len(self._held)
        end = min(end, longest)
        line, self._held = self._held[:end], self._held[end:]
        return line

    def waiting(self) -> bool:
        """Whether the next line has yet to come; False where that cannot be told."""
        if b"\n" in self._held:
            return False
        try:
            return not select.select([self._file.fileno()], [], [], 0)[0]
        except (OSError, ValueError):
            # Not a file of the system, or a system that can ask sockets alone.
            return False
