"""The beginning of a file of packed weights, or of a kept prompt: what it is, and which model's.

    bytes 0 … 7     "GPTPACK" and a zero, of a prompt "GPTPROM"
    bytes 8 … 11    length of what follows, unsigned, little-endian
    JSON            an object of texts
    from BEGIN on   the weights, or what was computed of the prompt

The engine writes such files and uses them; lists of what is on the disk read this alone.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

#: How the name of the note ends that vouches for such a file.
NOTE = ".seen"
PACKED, PROMPT = b"GPTPACK\0", b"GPTPROM\0"
#: Where the rest begins: whole pages of any system, and room for the longest path.
BEGIN = 1 << 15


def note(path: Path) -> Path:
    """Where stamps stand that vouch for a file; when it was changed, the file was last used."""
    return path.with_name(path.name + NOTE)


def encode(said: Mapping[str, str], kind: bytes = PACKED) -> bytes:
    """All bytes up to BEGIN. kind: PACKED or PROMPT.

    Raises ValueError for more than they have room for.
    """
    text = json.dumps(said, sort_keys=True).encode()
    found = (kind + struct.pack("<I", len(text)) + text).ljust(BEGIN, b"\0")
    if len(found) > BEGIN:
        raise ValueError("a file's header has no room for as much")
    return found


def read(file: BinaryIO, kind: bytes = PACKED) -> dict[str, str] | None:
    """What a file says from its present place on, None where it is none of that kind of ours.

    Raises OSError.
    """
    header = file.read(BEGIN)
    try:
        (length,) = struct.unpack("<I", header[8:12])
        said = json.loads(header[12 : 12 + length])
        texts = {name: str(said[name]) for name in said}
        return texts if header == encode(texts, kind) else None
    except (struct.error, ValueError, KeyError, TypeError, RecursionError):
        return None
