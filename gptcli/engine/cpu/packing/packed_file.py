"""Packed weights kept in one file, so that the next start needs no packing.

What stands before the sections is `formats.packed_header`; its texts are

    directory  the model's
    digest     of what the layout of the sections follows from
    content    of the files that they were packed from, and
    checksum   of the sections themselves; both empty where hashing would take as long as packing
    grids      in which blocks weights were before, where that was looked for: `grids.as_text`
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
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gptcli import atomic, identity
from gptcli.engine.cpu.binding.library import Library
from gptcli.engine.cpu.packing.memory import PackedWeights, places
from gptcli.engine.cpu.packing.moving import Moving
from gptcli.engine.cpu.packing.origin import Origin
from gptcli.engine.cpu.packing.pack import Parameter, pack_into
from gptcli.engine.cpu.packing.quantise import Rounding
from gptcli.engine.cpu.packing.section import Kinds
from gptcli.engine.cpu.packing.sections import sections
from gptcli.engine.cpu.packing.writing import writing
from gptcli.engine.model.spec import ModelSpec
from gptcli.errors import ModelError
from gptcli.formats import packed_header
from gptcli.formats.packed_header import BEGIN, note

#: So long after a file was written the system has most likely brought it to the disk by itself.
_ON_DISK_SECONDS = 120
#: Grows whenever a layout of source/kinds/, or what stands in a section, changes.
LAYOUT = 4


def digest(spec: ModelSpec, kinds: Kinds, origin: Origin) -> str:
    """What the bytes of packed weights depend on, beside the content of the files."""
    # Not dataclasses.astuple, whose deep copies take a fifth of what opening a model does.
    described = [LAYOUT, [list(vars(each).values()) for each in sections(spec, kinds)]]
    said = json.dumps([described, origin.reading])
    return hashlib.sha256(said.encode(errors="surrogatepass")).hexdigest()


def make(
    path: Path,
    spec: ModelSpec,
    kinds: Kinds,
    library: Library,
    origin: Origin,
    parameters: Mapping[str, Parameter],
    *,
    threads: int = 1,
    rounding: Rounding | None = None,
    hashed: bool,
    grids: str | None = None,
) -> None:
    """Pack weights into a file that is whole or not there; memory does not grow with the model.

    hashed: so that it can be told from its content, too. grids: what is known of the weights, see
    `grids_of`. Nothing is left behind where that fails: OSError where the file cannot be written,
    ModelError where the origin changes meanwhile, and what `pack_into` raises.
    """
    size = places(spec, kinds, library)[1]
    said = {"digest": digest(spec, kinds, origin), "directory": str(origin.directory.resolve())}
    if grids is not None:
        said["grids"] = grids
    with atomic.replacing(path, flushed=identity.boot() is None) as file:
        with writing(file, BEGIN, size) as into:
            pack_into(into, spec, kinds, parameters, library, threads=threads, rounding=rounding)
        if not _same(origin):
            raise ModelError(str(origin.directory), "was changed while it was being read")
        if rounding is not None:
            said["changed"] = f"{rounding.changed:.4g}"
        said["content"] = identity.digest(origin.files) if hashed else ""
        said["checksum"] = identity.digest_from(file, BEGIN) if hashed else ""
        file.seek(0)
        file.write(packed_header.encode(said))
    with path.open("rb") as file:
        identity.vouch(note(path), _what(said, identity.boot()), _stamp(path, file, origin))


def grids_of(path: Path, origin: Origin) -> str | None:
    """What `make` was told of the weights, None where that is not known of these."""
    try:
        with path.open("rb") as file:
            said = packed_header.read(file)
            known = said is not None and _fits(path, file, said, origin, unseen=False)
            return said.get("grids") if said is not None and known else None
    except OSError:
        return None


def for_once(
    directory: Path,
    spec: ModelSpec,
    kinds: Kinds,
    parameters: Mapping[str, Parameter],
    library: Library,
    *,
    threads: int = 1,
    rounding: Rounding | None = None,
) -> PackedWeights:
    """Weights packed into a file that has no name and goes when they go. Raises as `make`."""
    size = places(spec, kinds, library)[1]
    with tempfile.TemporaryFile(dir=directory) as file:
        with writing(file, 0, size) as into:
            pack_into(into, spec, kinds, parameters, library, threads=threads, rounding=rounding)
        file.flush()
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return PackedWeights(spec, kinds, library, np.frombuffer(mapped, dtype=np.uint8))


def _same(origin: Origin) -> bool:
    """Whether the files are still those of the origin's stamp."""
    try:
        return identity.stamp(origin.files) == origin.stamp
    except OSError:
        return False


def load(
    path: Path,
    spec: ModelSpec,
    kinds: Kinds,
    library: Library,
    origin: Origin,
    *,
    unseen: bool = True,
) -> PackedWeights | None:
    """The weights that `make` wrote, or None where there are none, others, or not all of them.

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
            if os.fstat(file.fileno()).st_size != BEGIN + size:
                return None
            said = packed_header.read(file)
            if said is None or said.get("digest") != digest(spec, kinds, origin):
                return None
            if not _fits(path, file, said, origin, unseen=unseen):
                return None
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError:
        return None
    with contextlib.suppress(OSError):
        os.utime(note(path))
    memory = np.frombuffer(mapped, dtype=np.uint8, offset=BEGIN)
    packed = PackedWeights(spec, kinds, library, memory)
    if hasattr(mmap, "MADV_WILLNEED"):
        mapped.madvise(mmap.MADV_WILLNEED, 0, BEGIN + packed.begun)
    packed.changed = _number(said.get("changed"))
    packed.mover = Moving(packed, mapped, BEGIN)
    return packed


def _fits(
    path: Path, file: BinaryIO, said: dict[str, str], origin: Origin, *, unseen: bool
) -> bool:
    """Whether the sections are those that were written, and their origin that of then."""
    stamp = _stamp(path, file, origin)
    if identity.vouched(note(path), _what(said), stamp):
        return True
    boot = identity.boot()
    if boot and identity.vouched(note(path), _what(said, boot), stamp):
        if time.time() - os.fstat(file.fileno()).st_mtime > _ON_DISK_SECONDS:
            os.fsync(file.fileno())
            identity.vouch(note(path), _what(said), stamp)
        return True
    if not unseen or not said.get("content"):
        return False
    if identity.settled(origin.files) != origin.stamp or _stamp(path, file, origin) != stamp:
        return False
    if identity.digest_from(file, BEGIN) != said["checksum"]:
        return False
    if identity.digest(origin.files) != said["content"]:
        return False
    identity.vouch(note(path), _what(said), stamp)
    return True


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


def _stamp(path: Path, file: BinaryIO, origin: Origin) -> str:
    """Of an open file of packed weights and of its origin."""
    return f"{identity.stamp_of([(path.name, file)])} {origin.stamp}"


def _what(said: dict[str, str], boot: str | None = None) -> str:
    """What a note is about; boot: the start of the machine that it holds of, None for all."""
    said = said | ({"boot": boot} if boot else {})
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
