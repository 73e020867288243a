"""A kept tokenizer as one file: tables that are used where they lie.

    64 hex digits and a line end    SHA-256 of what follows
    4 bytes                         length of the JSON, unsigned
    JSON                            {"of": …, "facts": {…}, "tables": {name: [start, length]}}
    the tables                      from the next multiple of 8 on, each at one as well

of: of what the tokenizer was made, by content. Numbers are in this machine's order, which `of`
depends on. What does not fit its digest, or was made of anything else, is none.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gptcli.plain import dataclass

_HEAD = 64 + 1
_STEP = 8


@dataclass(frozen=True)
class Form:
    """facts: plain values, as JSON has them."""

    facts: Mapping[str, Any]
    tables: Mapping[str, memoryview]

    def numbers(self, name: str) -> memoryview[int]:
        """A table of unsigned 32-bit numbers."""
        return self.tables[name].cast("I")

    def floats(self, name: str) -> memoryview[float]:
        """A table of 64-bit floats."""
        return self.tables[name].cast("d")


def written(of: str, facts: Mapping[str, Any], tables: Mapping[str, bytes]) -> bytes:
    """The bytes of a file."""
    places, at = {}, 0
    for name, data in tables.items():
        places[name] = [at, len(data)]
        at += _padded(len(data))
    said = json.dumps({"of": of, "facts": facts, "tables": places}).encode()
    found = bytearray(struct.pack("=I", len(said)) + said)
    # The tables' own numbers stand at multiples of 8 in the file, the digest before them.
    found += bytes(_padded(_HEAD + len(found)) - _HEAD - len(found))
    for data in tables.values():
        found += data.ljust(_padded(len(data)), b"\0")
    return hashlib.sha256(found).hexdigest().encode() + b"\n" + found


def read(data: memoryview, of: str) -> Form | None:
    """The form in what `written` gave, None for what was made of anything else."""
    try:
        (length,) = struct.unpack("=I", data[_HEAD : _HEAD + 4])
        said = json.loads(bytes(data[_HEAD + 4 : _HEAD + 4 + length]))
    except (struct.error, ValueError):
        return None
    if said.get("of") != of:
        return None
    begin = _padded(_HEAD + 4 + length)
    places = said["tables"].items()
    tables = {name: data[begin + at : begin + at + size] for name, (at, size) in places}
    return Form(said["facts"], tables)


def load(path: Path, of: str) -> Form | None:
    """The form in a file, None where there is none, another, or not what was written."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            digest = file.read(_HEAD)
            # Read before it is mapped: pages that are only hashed are no memory of this process.
            if hashlib.file_digest(file, "sha256").hexdigest().encode() + b"\n" != digest:
                return None
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError:
        return None
    return read(memoryview(mapped), of)


def _padded(size: int) -> int:
    return -(-size // _STEP) * _STEP
