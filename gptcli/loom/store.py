"""Trees in files: read as a stranger's, written whole, for their owner's eyes alone."""

from __future__ import annotations

from pathlib import Path

from gptcli import atomic
from gptcli.errors import InputError, ModelError, ResourceError
from gptcli.formats import files
from gptcli.loom.form import decode, encode
from gptcli.loom.tale import Tale

_LARGEST = 64 << 20


def read_file(path: Path) -> Tale:
    """The tree in a file. Raises InputError for one that cannot be read, or holds anything else."""
    try:
        data = files.read(path, _LARGEST)
    except ModelError as error:
        raise InputError(str(path), error.reason) from None
    return decode(data, str(path))


def write_file(path: Path, tale: Tale) -> None:
    """Write it durably: the old file is there, or the new one. Raises ResourceError."""
    if path.exists() and not path.is_file():
        raise ResourceError(str(path), "is not a file")
    try:
        # What a link leads to is written, not put in the link's place.
        atomic.replace(path.resolve(), encode(tale), private=True)
    except OSError as error:
        raise ResourceError(str(path), error.strerror or str(error)) from None
