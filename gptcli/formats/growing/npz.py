"""An .npz file, a zip of .npy files, whose first member is as long as it turns out to be.

Its headers are written last, into room that was left for them. The checksum of a member is over
its header too, which is known last of all: of the two parts' own it is computed, not by reading.
"""

from __future__ import annotations

import math
import zlib
from typing import BinaryIO
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from gptcli.formats.growing.layout import WIDTHS, Layout, copy

#: Of the header of an .npy file: a shape of many digits has room in it.
_ROOM = 192
#: CRC-32's polynomial, the lowest power in the highest bit.
_POLYNOMIAL = 0xEDB88320


class Npz:
    """See Kind."""

    def begin(self, file: BinaryIO, name: str) -> None:
        """See Kind."""
        file.write(b"\0" * (len(_member(name).FileHeader(zip64=True)) + _ROOM))

    def end(self, file: BinaryIO, layout: Layout) -> None:
        """See Kind."""
        head, size = _head("<f4", layout.shape), math.prod(layout.shape) * WIDTHS["f4"]
        first, end = _member(layout.name), file.tell()
        first.header_offset = 0
        first.file_size = first.compress_size = len(head) + size
        first.CRC = joined_crc(zlib.crc32(head), layout.crc, size)
        file.seek(0)
        file.write(first.FileHeader(zip64=True) + head)
        file.seek(end)
        with ZipFile(file, "w", ZIP_STORED) as archive:
            archive.filelist.append(first)
            for name, column in layout.columns.items():
                with archive.open(_member(name), "w", force_zip64=True) as member:
                    member.write(_head(f"<{column.kind}", (column.count,)))
                    copy(column, member)  # type: ignore[arg-type]
            for name, text in layout.facts.items():
                units = text.encode("utf-32-le")
                archive.writestr(_member(name), _head(f"<U{len(units) // 4}", ()) + units)


def joined_crc(one: int, other: int, size: int) -> int:
    """The CRC-32 of two texts of bytes together, of that of each and the size of the second.

    What the first has given is moved on by `size` bytes of zeros, which is a multiplication by a
    power of x modulo the polynomial: https://github.com/madler/zlib/blob/master/crc32.c
    """
    moved, square, left = 1 << 31, 1 << 23, size
    while left:
        if left & 1:
            moved = _product(square, moved)
        square = _product(square, square)
        left >>= 1
    return _product(moved, one) ^ other


def _product(one: int, other: int) -> int:
    """Of two polynomials over two elements, modulo that of CRC-32."""
    found = 0
    for place in range(31, -1, -1):
        if one >> place & 1:
            found ^= other
        other = (other >> 1) ^ (_POLYNOMIAL if other & 1 else 0)
    return found


def _member(name: str) -> ZipInfo:
    # Without the time, so that the same arrays are the same bytes.
    found = ZipInfo(f"{name}.npy")
    found.CRC = found.file_size = found.compress_size = 0
    return found


def _head(kind: str, shape: tuple[int, ...]) -> bytes:
    """The header of an .npy file, of _ROOM bytes."""
    said = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    text = said.encode().ljust(_ROOM - 11) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
