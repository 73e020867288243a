"""Disk: free space, sizes, digests, and what a failing write means."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path

from gptcli import units
from gptcli.errors import ModelError, ResourceError
from gptcli.types.events import Progress

_CHUNK = 1 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def size_of(directory: Path) -> int:
    """Bytes of the files in a directory, links followed."""
    found = 0
    for root, _, files in os.walk(directory):
        for name in files:
            with suppress(FileNotFoundError):  # a link to nothing, or one that is being removed
                found += Path(root, name).stat().st_size
    return found


def need_space(directory: Path, size: int) -> None:
    """Raises ResourceError where fewer than `size` bytes are free for `directory`."""
    place = next(path for path in (directory, *directory.parents) if path.exists())
    free = shutil.disk_usage(place).free
    if free < size:
        raise ResourceError(
            str(directory),
            f"needs {units.size(size)} of free disk space, but {units.size(free)} are free",
        )


def full(error: OSError) -> bool:
    """Whether the disk or the user's share of it is full."""
    return error.errno in _FULL


@contextmanager
def writing(directory: Path) -> Generator[None, None, None]:
    """Turns an OSError of the block into a ResourceError that names the directory."""
    try:
        yield
    except OSError as error:
        if full(error):
            raise ResourceError(str(directory), "the disk is full") from error
        reason = error.strerror or str(error)
        raise ResourceError(str(error.filename or directory), reason) from error


def removed(directory: Path, files: Iterable[tuple[Path, int]]) -> int:
    """Removes files of a directory, each with its size; the bytes that frees.

    Raises ResourceError where it cannot.
    """
    freed = 0
    with writing(directory):
        for path, size in files:
            with suppress(FileNotFoundError):  # another removal was faster
                path.unlink()
                freed += size
    return freed


def clear(directory: Path) -> None:
    """Removes a directory with all that is in it, if it is there."""
    if directory.exists():
        shutil.rmtree(directory)


def sha256(path: Path, label: str) -> Generator[Progress, None, str]:
    """The SHA-256 of a file as 64 hex digits. Raises ModelError if it cannot be read."""
    return (yield from _digest(path, label, hashlib.sha256()))


def git_blob(path: Path, label: str) -> Generator[Progress, None, str]:
    """The name git gives a file: the SHA-1 of `blob <size>`, a zero byte and its content."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    return (yield from _digest(path, label, digest))


def _digest(path: Path, label: str, digest: hashlib._Hash) -> Generator[Progress, None, str]:
    try:
        total = path.stat().st_size
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                yield Progress(label, file.tell(), total)
    except OSError as error:
        raise ModelError(str(path), f"cannot be read: {error.strerror}") from None
    return digest.hexdigest()
