"""What the two kinds of files have in common: a main array, columns, and facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO, Protocol

from gptcli.plain import dataclass

#: Bytes of a number of each kind that is written here.
WIDTHS = {"f4": 4, "i4": 4, "i8": 8}
#: Bytes that are copied at once.
PIECE = 1 << 20


@dataclass(frozen=True)
class Column:
    """A vector beside the rows: its kind, a key of WIDTHS, how many numbers, and where they are."""

    kind: str
    count: int
    file: BinaryIO

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.count * WIDTHS[self.kind]


@dataclass(frozen=True)
class Layout:
    """What is written. name: of the main array, float32, of `shape`, whose bytes have this CRC-32;
    facts: words about all of it.
    """

    name: str
    shape: tuple[int, ...]
    crc: int
    columns: Mapping[str, Column]
    facts: Mapping[str, str]


class Kind(Protocol):
    """A kind of files."""

    def begin(self, file: BinaryIO, name: str) -> None:
        """Leave room, at the beginning of an empty file, for what comes before the main array."""
        ...

    def end(self, file: BinaryIO, layout: Layout) -> None:
        """Write what stands before and behind it, from where the file is: its last byte."""
        ...


def copy(column: Column, to: BinaryIO) -> None:
    """The bytes of a column, from its first."""
    column.file.seek(0)
    left = column.size
    while left:
        piece = column.file.read(min(left, PIECE))
        if not piece:
            raise OSError("a temporary file has become shorter")
        to.write(piece)
        left -= len(piece)
