"""Lines of bytes from a file or a pipe, as they come."""

from __future__ import annotations

import select
from collections.abc import Iterator
from typing import IO, cast

_PIECE = 1 << 16


def lines_as_they_come(file: IO[bytes], longest: int) -> Iterator[bytes | None]:
    """Lines with their ends, cut after `longest` bytes; None whenever the next has yet to come.

    None comes before the file is waited for, so that who reads can do something else first. Where
    it cannot be told whether something has come, as of files that are no pipes, it never does.
    """
    held = b""
    while True:
        end = held.find(b"\n") + 1
        if not end and len(held) < longest:
            if _is_waiting(file):
                yield None
            # read1 gives what has come; it is not in IO, but every binary file that we open has it.
            piece = cast(bytes, file.read1(_PIECE))  # type: ignore[attr-defined]
            held += piece
            if piece:
                continue
            if not held:
                return
        end = min(end or len(held), longest)
        yield held[:end]
        held = held[end:]


def _is_waiting(file: IO[bytes]) -> bool:
    try:
        return not select.select([file.fileno()], [], [], 0)[0]
    except (OSError, ValueError):
        # Not a file of the system, or a system that can ask sockets alone.
        return False
