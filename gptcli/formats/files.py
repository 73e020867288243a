"""What a model directory may hold where a file is expected."""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path

from gptcli.errors import ModelError


def refuse_special(path: Path) -> None:
    """Raise ModelError for a pipe, a device or a directory, from which a read might never end.

    A path at which there is nothing passes: whoever opens it says that in its own words.
    """
    if path.exists() and not path.is_file():
        raise ModelError(str(path), "is not a file")


def read(path: Path, limit: int, too_large: str | None = None) -> bytes:
    """The bytes of a file. Raises ModelError, also where it has more than `limit`.

    The size is asked before anything is read: a hole of terabytes costs nothing on a disk.
    """
    refuse_special(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            # No more than is there: so much memory is taken before anything is read.
            found = file.read(size + 1) if size <= limit else b""
    except OSError as error:
        raise ModelError(str(path), f"cannot be read: {error.strerror}") from None
    if max(size, len(found)) > limit:
        raise ModelError(str(path), too_large or f"is larger than {limit >> 20} MiB")
    return found


def unpacked(data: bytes, path: Path, limit: int, too_large: str | None = None) -> bytes:
    """What gzip made `data`, which stands in `path`, of. Raises ModelError as `read` does.

    No more than the limit is ever made, however little the data is.
    """
    unpacking = zlib.decompressobj(wbits=31)
    try:
        found = unpacking.decompress(data, limit + 1)
    except zlib.error as error:
        raise ModelError(str(path), f"cannot be read: {error}") from None
    if len(found) > limit:
        raise ModelError(str(path), too_large or f"is larger than {limit >> 20} MiB")
    if not unpacking.eof or unpacking.unused_data:
        raise ModelError(str(path), "cannot be read: it is not whole")
    return found


def digest(path: Path, limit: int, too_large: str | None = None) -> str:
    """SHA-256 of a file that `read` would give, in 64 hex digits, without holding it in memory.

    Raises ModelError as `read` does.
    """
    refuse_special(path)
    try:
        with path.open("rb") as file:
            if path.stat().st_size > limit:
                raise ModelError(str(path), too_large or f"is larger than {limit >> 20} MiB")
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(str(path), f"cannot be read: {error.strerror}") from None
