"""Files and directories that are whole or not there: made beside their place, flushed, renamed.

The name beside is nobody else's, in whichever container or on whichever machine he runs, and it is
locked while it is written: one that is not is left over from a process that was killed, and the
next who writes there removes it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be removed
    fcntl = None  # type: ignore[assignment]

#: Nobody else's files end so.
_END = ".gptcli-part"
_PART = re.compile(rf"\..*\.[0-9a-f]{{8}}{re.escape(_END)}", re.DOTALL)
#: Letters of a file's name that its part's begins with: at 4 bytes each, the whole stays under 255.
_LETTERS = 50
#: Where a file system knows no locks, only parts so old are left over.
_OLD_SECONDS = 24 * 3600


@contextlib.contextmanager
def replacing(path: Path, *, private: bool = False, flushed: bool = True) -> Iterator[BinaryIO]:
    """A file to write in, that takes the place of `path` when the block ends well.

    private: for its owner's eyes alone, else as the user's umask has it. flushed: it is on the disk
    then; else the system writes it there when it likes, and after a power failure a file of the
    right size may hold zeros. Nothing is left behind where the block fails. Raises OSError where it
    cannot be written.
    """
    sweep(path.parent)
    descriptor, part = _begin(path, 0o600 if private else 0o666)
    try:
        with open(descriptor, "w+b") as file:  # noqa: PTH123 - a descriptor has no Path
            yield file
            file.flush()
            if flushed:
                os.fsync(file.fileno())
            part.replace(path)
        flush_directory(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def replacing_directory(path: Path, *, over: bool = False) -> Iterator[Path]:
    """A new directory to fill, that gets the name `path` when the block ends well.

    over: what is there by that name is removed then; else it may be no more than empty. Nothing is
    left behind where the block fails. Raises OSError where it cannot be written.
    """
    with _beside(path) as part:
        yield part
        for place, _, names in os.walk(part):
            for name in names:
                _flush(Path(place, name))
            flush_directory(Path(place))
        if over:
            with contextlib.suppress(FileNotFoundError):
                discard(path)
        part.rename(path)
        flush_directory(path.parent)


def discard(path: Path) -> None:
    """Remove a directory and all in it; whoever is killed meanwhile leaves none of it under `path`.

    Raises FileNotFoundError where it is not there, and other OSErrors.
    """
    with _beside(path) as part:
        # Renamed first: half of a directory is never found under its name.
        path.rename(part / "old")


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A directory of a name of its own beside `path`, and nothing of it there afterwards."""
    sweep(path.parent)
    descriptor, part = _begin_directory(path)
    try:
        yield part
    finally:
        # It may have got another name.
        shutil.rmtree(part, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def replace(path: Path, data: bytes, *, private: bool = False) -> None:
    """Put a file of these bytes in the place of `path`, as `replacing` does. Raises OSError."""
    with replacing(path, private=private) as file:
        file.write(data)


def keep(path: Path, data: bytes) -> bool:
    """The same for what can be made again, its directory too: whether it could be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, data)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def alone(path: Path, seconds: float) -> Iterator[None]:
    """While one makes what stands at `path`, others wait for what comes of it, so long at most.

    Where no lock can be had they do not wait, and make it too.
    """
    import filelock

    lock = filelock.FileLock(path.with_name(f".{path.name}.lock"), timeout=seconds)
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError, NotImplementedError):  # a timeout, too, is an OSError
            path.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(lock)
        yield


def take(path: Path) -> BinaryIO:
    """A file to add to, made where it is not there, this process's alone until it is closed.

    Whoever holds it may remove or rename it meanwhile. Raises BlockingIOError where another process
    has it, and other OSErrors. Where a file system knows no locks, nobody is kept out.
    """
    while True:
        # Not what a link that somebody has put there points to.
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        file = open(os.open(path, flags, 0o666), "r+b", buffering=0)  # noqa: PTH123, SIM115
        try:
            if fcntl is not None:
                try:
                    fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise
                except OSError:
                    return file
            if fcntl is None or _is_at(file.fileno(), path):
                return file
        except BaseException:
            file.close()
            raise
        # Its last holder was done with it, and has removed it.
        file.close()


def sweep(directory: Path) -> None:
    """Remove what processes that are gone have left in a directory on their way to a name there."""
    try:
        with os.scandir(directory) as entries:
            parts = [Path(each.path) for each in entries if _PART.fullmatch(each.name)]
    except OSError:
        return
    for part in parts:
        with contextlib.suppress(OSError):
            _sweep(part)


def flush_directory(path: Path) -> None:
    """A rename itself, too, has to reach the disk. Windows cannot open directories."""
    with contextlib.suppress(PermissionError):
        _flush(path)


def _begin(path: Path, mode: int) -> tuple[int, Path]:
    """A file of a name of its own beside `path`, open and locked."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        part = _name(path)
        descriptor = os.open(part, flags, mode)
        if _hold(descriptor, part):
            return descriptor, part
        os.close(descriptor)


def _begin_directory(path: Path) -> tuple[int | None, Path]:
    """The same for a directory; where directories cannot be locked, None."""
    while True:
        part = _name(path)
        part.mkdir()
        if fcntl is None:
            return None, part
        with contextlib.suppress(FileNotFoundError):  # a sweep was faster
            descriptor = os.open(part, os.O_RDONLY)
            if _hold(descriptor, part):
                return descriptor, part
            os.close(descriptor)


def _name(path: Path) -> Path:
    return path.with_name(f".{path.name[:_LETTERS]}.{os.urandom(4).hex()}{_END}")


def _hold(descriptor: int, part: Path) -> bool:
    """Lock what was just made; False where a sweep was faster and took it for left over."""
    if fcntl is None:
        return True
    # A file system without locks: then sweeps go by age.
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return _is_at(descriptor, part)


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file still has that name."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _sweep(part: Path) -> None:
    """Remove a part that is left over. Raises OSError where that cannot be."""
    if fcntl is None:
        if part.is_file():
            part.unlink()
        return
    # Neither a link nor a pipe, at which an opening might wait, is of our making.
    descriptor = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        said = os.fstat(descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        except OSError:
            if time.time() - said.st_mtime < _OLD_SECONDS:
                return
        if stat.S_ISDIR(said.st_mode):
            shutil.rmtree(part)
        elif stat.S_ISREG(said.st_mode):
            part.unlink()
    finally:
        os.close(descriptor)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
