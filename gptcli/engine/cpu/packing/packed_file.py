"""Packed weights kept in one file, so that the next start needs no packing.

What stands before the sections is `formats.packed_header`; its texts are

    directory  the model's
    digest     of what the layout of the sections follows from
    content    of the files that they were packed from, and
    checksum   of the sections themselves; both empty where hashing would take as long as packing
    grids      in which blocks weights were before, where that was looked for: `grids.as_text`
    kinds      those that keep the numbers of files in blocks or codes: `told_kinds.as_text`
    kinds_of   of these and of all that they follow from
    changed    by which part of themselves, in the root of mean squares, rounding changed numbers

The layout is the same for every processor and any number of threads. The file says nothing about
where sections are: that follows from the model, and a file of any other size is not used.

A note beside the file, `<name>.seen`, knows the stamps of both it and its origin (see
`gptcli.identity`); what no stamp vouches for is read whole, or made anew. When the note was last
changed is when the file was last used. Nobody waits for gigabytes to be on the disk: until they
are, the note says of which start of the machine it holds.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gptcli import identity
from gptcli.engine.cpu.binding.library import Library
from gptcli.engine.cpu.packing.memory import PackedWeights, places, sections_of
from gptcli.engine.cpu.packing.moving import Moving
from gptcli.engine.cpu.packing.origin import Origin
from gptcli.engine.cpu.packing.section import Kinds, Section
from gptcli.engine.model.spec import ModelSpec
from gptcli.formats import packed_header
from gptcli.formats.packed_header import BEGIN, note

#: So long after a file was written the system has most likely brought it to the disk by itself.
_ON_DISK_SECONDS = 120
#: Grows whenever a layout of source/kinds/, what stands in a section, or which kinds keep the
#: numbers of a file changes.
LAYOUT = 5


def digest(found: Iterable[Section], origin: Origin) -> str:
    """What the bytes of packed weights depend on, beside the content of the files."""
    # Not dataclasses.astuple, whose deep copies take a fifth of what opening a model does.
    described = [LAYOUT, [list(vars(each).values()) for each in found]]
    said = json.dumps([described, origin.reading])
    return hashlib.sha256(said.encode(errors="surrogatepass")).hexdigest()


def grids_of(path: Path, origin: Origin) -> str | None:
    """What `made_file.make` was told of the weights, None where that is not known of these."""
    try:
        with path.open("rb") as file:
            said = packed_header.read(file)
            known = said is not None and _fits(path, file, said, origin, unseen=False)
            return said.get("grids") if said is not None and known else None
    except OSError:
        return None


def told_of(path: Path, origin: Origin) -> str | None:
    """Which kinds keep the origin's numbers, as `made_file.make` was told, if it was."""
    try:
        with path.open("rb") as file:
            said = packed_header.read(file) or {}
    except OSError:
        return None
    told = said.get("kinds", "")
    return told if said.get("kinds_of") == told_with(told, origin) else None


def told_with(told: str, origin: Origin) -> str:
    """Of kinds, and of all that they follow from."""
    said = json.dumps([LAYOUT, told, origin.reading, origin.stamp])
    return hashlib.sha256(said.encode(errors="surrogatepass")).hexdigest()


def load(
    path: Path,
    spec: ModelSpec,
    kinds: Kinds,
    library: Library,
    origin: Origin,
    *,
    unseen: bool = True,
) -> PackedWeights | None:
    """The weights that `made_file.make` wrote, None where there are none, others, or not all.

    unseen: read all of it, and of its origin, where nothing vouches for them; else such a file is
    none. They stay in the file, whose pages processes share and the system brings in as they are
    read, so that the first token comes at once; `PackedWeights.mover` knows a place that is better
    later on.
    """
    found, size = places(spec, kinds, library)
    try:
        if not path.is_file():  # a pipe, at which an opening waits, is not of our making
            return None
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size != BEGIN + size:
                return None
            said = packed_header.read(file)
            if said is None or said.get("digest") != digest(sections_of(found), origin):
                return None
            if not _fits(path, file, said, origin, unseen=unseen):
                return None
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError:
        return None
    with contextlib.suppress(OSError):
        os.utime(note(path))
    memory = np.frombuffer(mapped, dtype=np.uint8, offset=BEGIN)
    packed = PackedWeights(spec, kinds, library, memory, (found, size))
    if hasattr(mmap, "MADV_WILLNEED"):
        mapped.madvise(mmap.MADV_WILLNEED, 0, BEGIN + packed.begun)
    packed.changed = _number(said.get("changed"))
    packed.mover = Moving(packed, mapped, BEGIN)
    return packed


def _fits(
    path: Path, file: BinaryIO, said: dict[str, str], origin: Origin, *, unseen: bool
) -> bool:
    """Whether the sections are those that were written, and their origin that of then."""
    stamp = both(path, file, origin)
    if identity.vouched(note(path), about(said), stamp):
        return True
    boot = identity.boot()
    if boot and identity.vouched(note(path), about(said, boot), stamp):
        if time.time() - os.fstat(file.fileno()).st_mtime > _ON_DISK_SECONDS:
            os.fsync(file.fileno())
            identity.vouch(note(path), about(said), stamp)
        return True
    if not unseen or not said.get("content"):
        return False
    if identity.settled(origin.files) != origin.stamp or both(path, file, origin) != stamp:
        return False
    if identity.digest_from(file, BEGIN) != said["checksum"]:
        return False
    if identity.digest(origin.files) != said["content"]:
        return False
    identity.vouch(note(path), about(said), stamp)
    return True


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


def both(path: Path, file: BinaryIO, origin: Origin) -> str:
    """The stamps of an open file of packed weights and of its origin."""
    return f"{identity.stamp_of([(path.name, file)])} {origin.stamp}"


def about(said: dict[str, str], boot: str | None = None) -> str:
    """What a note is about; boot: the start of the machine that it holds of, None for all."""
    said = said | ({"boot": boot} if boot else {})
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
