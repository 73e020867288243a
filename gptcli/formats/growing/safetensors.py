"""A safetensors file whose header is written last, into room that was left for it.

Behind its JSON a header may have any number of spaces, and offsets count from its end.
"""

from __future__ import annotations

import json
from typing import BinaryIO

from gptcli.formats.growing.layout import Layout, copy

_DTYPES = {"f4": "F32", "i4": "I32", "i8": "I64"}
#: Of the header, with the 8 bytes of its own length.
_ROOM = 16 << 10


class Safetensors:
    """See Kind."""

    def begin(self, file: BinaryIO, name: str) -> None:
        """See Kind."""
        file.write(b"\0" * _ROOM)

    def end(self, file: BinaryIO, layout: Layout) -> None:
        """See Kind. Raises ValueError for facts that have no room."""
        entries: dict[str, object] = {"__metadata__": dict(layout.facts)}
        size = file.tell() - _ROOM
        entries[layout.name] = _entry("f4", layout.shape, 0, size)
        for name, column in layout.columns.items():
            entries[name] = _entry(column.kind, (column.count,), size, size + column.size)
            size += column.size
            copy(column, file)
        text = json.dumps(entries, separators=(",", ":")).encode()
        if len(text) > _ROOM - 8:
            raise ValueError(f"a header of {len(text)} bytes has no room")
        file.seek(0)
        file.write((_ROOM - 8).to_bytes(8, "little") + text.ljust(_ROOM - 8))


def _entry(kind: str, shape: tuple[int, ...], begin: int, end: int) -> dict[str, object]:
    return {"dtype": _DTYPES[kind], "shape": list(shape), "data_offsets": [begin, end]}
