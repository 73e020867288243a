"""Rows of an array as they come, and columns beside them, in a file that is whole or not there."""

from __future__ import annotations

import sys
import tempfile
import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from gptcli import atomic
from gptcli.formats.growing.layout import WIDTHS, Column, Kind, Layout
from gptcli.formats.growing.npz import Npz
from gptcli.formats.growing.safetensors import Safetensors
from gptcli.plain import dataclass

#: By what a file's name ends in.
KINDS: Mapping[str, type[Kind]] = {".npz": Npz, ".safetensors": Safetensors}
_CODES = {"i4": "i", "i8": "q"}


@dataclass(frozen=True)
class Form:
    """The main array's name and the shape of a row, of float32; the columns' names and kinds."""

    name: str
    row: tuple[int, ...]
    columns: Mapping[str, str]

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        size = WIDTHS["f4"]
        for length in self.row:
            size *= length
        return size


@dataclass
class _Kept:
    """What stays when the writing ends here."""

    rows: int
    crc: int
    columns: dict[str, int]


class GrowingFile:
    """What is being written. What was added since the last `keep` is not in the file."""

    def __init__(
        self, file: BinaryIO, form: Form, kind: Kind, columns: dict[str, BinaryIO]
    ) -> None:
        self._file, self._form, self._kind, self._columns = file, form, kind, columns
        self._counts = dict.fromkeys(columns, 0)
        self._rows = self._crc = 0
        self._kept = _Kept(0, 0, dict(self._counts))
        kind.begin(file, form.name)
        self._begin = file.tell()
        #: Words about all of it, to be written with the rest.
        self.facts: dict[str, str] = {}

    def rows(self, data: bytes) -> None:
        """Rows, as little-endian bytes. Raises ValueError for what is no whole row, OSError."""
        count, rest = divmod(len(data), self._form.row_bytes)
        if rest:
            raise ValueError(f"{len(data)} bytes are no rows of {self._form.row_bytes}")
        self._file.write(data)
        self._rows += count
        self._crc = zlib.crc32(data, self._crc)

    def add(self, column: str, numbers: Iterable[int]) -> None:
        """Numbers behind those that a column has. Raises OSError."""
        values = array(_CODES[self._form.columns[column]], numbers)
        if sys.byteorder == "big":
            values.byteswap()
        self._columns[column].write(values.tobytes())
        self._counts[column] += len(values)

    def keep(self) -> None:
        """Let all that was added so far stay, whatever becomes of the rest."""
        self._kept = _Kept(self._rows, self._crc, dict(self._counts))

    @property
    def kept(self) -> int:
        """Rows that stay."""
        return self._kept.rows

    def end(self) -> None:
        """Write what is not yet written of what is kept. Raises OSError."""
        kept = self._kept
        self._file.seek(self._begin + kept.rows * self._form.row_bytes)
        self._file.truncate()
        columns = {
            name: Column(kind, kept.columns[name], self._columns[name])
            for name, kind in self._form.columns.items()
        }
        shape = (kept.rows, *self._form.row)
        self._kind.end(self._file, Layout(self._form.name, shape, kept.crc, columns, self.facts))


@contextmanager
def growing(path: Path, form: Form) -> Iterator[GrowingFile]:
    """A file that takes the place of `path` once the block ends well, with what was kept by then.

    Its ending is one of KINDS. Raises OSError where it cannot be written.
    """
    with ExitStack() as stack:
        columns: dict[str, BinaryIO] = {
            name: stack.enter_context(tempfile.TemporaryFile(dir=path.parent))
            for name in form.columns
        }
        file = stack.enter_context(atomic.replacing(path))
        found = GrowingFile(file, form, KINDS[path.suffix](), columns)
        yield found
        found.end()
