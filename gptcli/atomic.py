"""Files that are whole or not there: written beside their place, flushed to the disk, renamed.

The name beside is nobody else's, in whichever container or on whichever machine he runs, and the
file is locked while it is written: one that is not is left over from a process that was killed,
and the next who writes there removes it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be removed
    fcntl = None  # type: ignore[assignment]

_END = ".part"


@contextlib.contextmanager
def replacing(path: Path, *, private: bool = False) -> Iterator[BinaryIO]:
    """A file to write in, that takes the place of `path` when the block ends well.

    private: for its owner's eyes alone, else as the user's umask has it. Nothing is left behind
    where the block fails. Raises OSError where it cannot be written.
    """
    sweep(path)
    descriptor, name = tempfile.mkstemp(_END, f".{path.name}.", path.parent)
    part = Path(name)
    try:
        with open(descriptor, "w+b") as file:  # noqa: PTH123 - a descriptor has no Path
            _lock(file.fileno())
            if not private:
                part.chmod(0o666 & ~_umask())
            yield file
            file.flush()
            # Else a power failure could leave a file of the right size that holds zeros.
            os.fsync(file.fileno())
            part.replace(path)
        flush_directory(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def sweep(path: Path) -> None:
    """Remove what processes that are gone have left beside `path`."""
    for part in path.parent.glob(f".{_plain(path.name)}.*{_END}"):
        with contextlib.suppress(OSError), part.open("rb") as file:
            if _lock(file.fileno()):
                part.unlink()


def flush_directory(path: Path) -> None:
    """A rename itself, too, has to reach the disk. Windows cannot open directories."""
    with contextlib.suppress(PermissionError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Whether it could be had; True, too, where a file system knows no locks."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _umask() -> int:
    """The process's own, which can only be asked by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _plain(name: str) -> str:
    """A name that a pattern takes literally."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
