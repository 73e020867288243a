"""A file that whole lines are added to, by several processes at once."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from gptcli.errors import ResourceError

#: Seconds to wait for another process, each of which holds the file for one write.
_PATIENCE = 10.0


def append(path: Path, lines: bytes) -> None:
    """Add lines, each with its end, to a file that only its owner can read; made where it is none.

    They are all there, or none of them is. Raises ResourceError.
    """
    import filelock

    if not path.parent.is_dir():
        # The lock would make it.
        raise ResourceError(str(path), "is in no directory that is there")
    lock = filelock.FileLock(path.with_name(f".{path.name}.lock"), timeout=_PATIENCE, mode=0o600)
    try:
        with lock:
            # For reading as well: a pipe would be waited for otherwise.
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
            descriptor = os.open(path, flags, 0o600)
            try:
                _add(descriptor, lines)
            finally:
                os.close(descriptor)
    except filelock.Timeout:
        raise ResourceError(str(path), "is held by another process, so nothing was added") from None
    except OSError as error:
        raise ResourceError(str(path), error.strerror or str(error)) from None


def _add(descriptor: int, lines: bytes) -> None:
    said = os.fstat(descriptor)
    if not stat.S_ISREG(said.st_mode):
        raise OSError("is not a file")
    # Left by whoever was stopped within a line, or edited by hand.
    torn = said.st_size > 0 and not _ends_in_newline(descriptor)
    data = b"\n" + lines if torn else lines
    try:
        if os.write(descriptor, data) < len(data):
            raise OSError("takes no more")
    except OSError:
        os.ftruncate(descriptor, said.st_size)
        raise


def _ends_in_newline(descriptor: int) -> bool:
    os.lseek(descriptor, -1, os.SEEK_END)
    return os.read(descriptor, 1) == b"\n"
