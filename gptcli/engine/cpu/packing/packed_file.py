"""Packed weights kept in one file, so that the next start needs no packing.

    bytes 0 … 7     "GPTPACK" and a zero
    bytes 8 … 11    length of what follows, unsigned, little-endian
    JSON            {"digest": …, "content": …, "checksum": …}
    from 4096 on    the sections, as `memory.places` has them

digest: of what the layout of the sections follows from; content: of the files that they were
packed from; checksum: of the sections themselves. The layout is the same for every processor and
any number of threads. The file says nothing about where sections are: that follows from the model,
and a file of any other size is not used.

Neither content is read where a note beside the file, `<name>.seen`, knows the stamps of both: see
`gptcli.identity`.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gptcli import atomic, identity
from gptcli.engine.cpu.binding.library import Library
from gptcli.engine.cpu.packing.memory import PackedWeights, places
from gptcli.engine.cpu.packing.moving import Moving
from gptcli.engine.cpu.packing.sections import Kinds, sections
from gptcli.engine.model.spec import ModelSpec

#: Grows whenever a layout of source/kinds/, or what stands in a section, changes.
LAYOUT = 4
MAGIC = b"GPTPACK\0"
BEGIN = 4096


@dataclass(frozen=True)
class Origin:
    """What weights are packed from: the files that store them, and how these are read.

    reading: whatever else a packed number depends on, in words.
    """

    files: Sequence[Path]
    reading: str


def digest(spec: ModelSpec, kinds: Kinds, origin: Origin) -> str:
    """What the bytes of packed weights depend on, beside the content of the files."""
    # Not dataclasses.astuple, whose deep copies take a fifth of what opening a model does.
    described = [LAYOUT, [list(vars(each).values()) for each in sections(spec, kinds)]]
    said = json.dumps([described, origin.reading])
    return hashlib.sha256(said.encode(errors="surrogatepass")).hexdigest()


def save(packed: PackedWeights, path: Path, origin: Origin, content: str) -> None:
    """Write a file that is whole or not there. content: the files' `identity.digest`.

    Raises OSError where that is not possible; nothing is left behind then.
    """
    sections_ = packed.memory[: packed.size].data
    said = {
        "digest": digest(packed.spec, packed.kinds, origin),
        "content": content,
        "checksum": identity.digest_of(sections_),
    }
    with atomic.replacing(path) as file:
        file.write(_header(said))
        file.write(sections_)
    identity.vouch(_note(path), _what(said), identity.stamp([path, *origin.files]))


def load(
    path: Path,
    spec: ModelSpec,
    kinds: Kinds,
    library: Library,
    origin: Origin,
    *,
    unseen: bool = True,
) -> PackedWeights | None:
    """The weights that `save` wrote, or None where there are none, others, or not all of them.

    unseen: read all of it, and of its origin, where nothing vouches for them; else such a file is
    none. They stay in the file, whose pages processes share and the system brings in as they are
    read, so that the first token comes at once; `PackedWeights.mover` knows a place that is better
    later on.
    """
    size = places(spec, kinds, library)[1]
    try:
        if not path.is_file():  # a pipe, at which an opening waits, is not of our making
            return None
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if found.st_size != BEGIN + size:
                return None
            said = _said(file.read(BEGIN))
            if said is None or said["digest"] != digest(spec, kinds, origin):
                return None
            if not _fits(path, found, said, origin, unseen=unseen):
                return None
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError:
        return None
    if hasattr(mmap, "MADV_WILLNEED"):
        mapped.madvise(mmap.MADV_WILLNEED)
    memory = np.frombuffer(mapped, dtype=np.uint8, offset=BEGIN)
    packed = PackedWeights(spec, kinds, library, memory)
    packed.mover = Moving(packed, mapped, BEGIN)
    return packed


def _fits(
    path: Path, found: os.stat_result, said: dict[str, str], origin: Origin, *, unseen: bool
) -> bool:
    """Whether the sections are those that were written, and their origin that of then."""
    stats = [(path.name, found), *((file.name, file.stat()) for file in origin.files)]
    stamp, note = identity.stamp_of(stats), _note(path)
    if identity.vouched(note, _what(said), stamp):
        return True
    if not unseen or identity.settled([path, *origin.files]) != stamp:
        return False
    if identity.digest([path], begin=BEGIN) != said["checksum"]:
        return False
    if identity.digest(origin.files) != said["content"]:
        return False
    identity.vouch(note, _what(said), stamp)
    return True


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.seen")


def _what(said: dict[str, str]) -> str:
    return f"{said['content']} {said['checksum']}"


def _said(header: bytes) -> dict[str, str] | None:
    """What a header says, None where it is none of ours."""
    try:
        (length,) = struct.unpack("<I", header[8:12])
        said = json.loads(header[12 : 12 + length])
        if header == _header({name: str(said[name]) for name in sorted(said)}):
            return {name: said[name] for name in ("digest", "content", "checksum")}
    except (struct.error, ValueError, KeyError, TypeError, RecursionError):
        pass
    return None


def _header(said: dict[str, str]) -> bytes:
    text = json.dumps(said, sort_keys=True).encode()
    return (MAGIC + struct.pack("<I", len(text)) + text).ljust(BEGIN, b"\0")
