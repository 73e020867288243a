"""Packed weights kept in one file, so that the next start needs no packing.

    bytes 0 … 7     "GPTPACK" and a zero
    bytes 8 … 11    length of what follows, unsigned, little-endian
    JSON            {"layout": …, "digest": …, "source": …}
    from 4096 on    the sections, as `pack.places` has them

The layout is the same for every processor and any number of threads. The file says nothing about
where sections are: that follows from the model, and a file of any other size is not used.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import struct
from pathlib import Path

import numpy as np

from gptcli.engine.kernels.library import Library
from gptcli.engine.kernels.pack import Bytes, Packed, places, reserve
from gptcli.engine.kernels.sections import Kinds, sections
from gptcli.engine.spec import ModelSpec

#: Grows whenever a layout of source/pack.h, or what stands in a section, changes.
LAYOUT = 1
MAGIC = b"GPTPACK\0"
BEGIN = 4096


def digest(spec: ModelSpec, kinds: Kinds) -> str:
    """What the bytes of packed weights depend on, beside the weights themselves."""
    described = [LAYOUT, repr(list(sections(spec, kinds)))]
    return hashlib.sha256(json.dumps(described).encode()).hexdigest()


def save(packed: Packed, path: Path, source: str) -> None:
    """Write beside `path`, then rename. source: what names the weights' exact origin.

    Raises OSError where that is not possible; nothing is left behind then.
    """
    header = _header(packed.spec, packed.kinds, source)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            file.write(header)
            file.write(packed.memory[: packed.size].data)
            file.flush()
            # Else a power failure could leave a file of the right size that holds zeros.
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def load(
    path: Path,
    spec: ModelSpec,
    kinds: Kinds,
    library: Library,
    source: str,
    *,
    mapped: bool = True,
) -> Packed | None:
    """The weights that `save` wrote, or None where there are none, others, or not all of them.

    mapped: leave them in the file and let the system bring in what is read, so that the first
    token comes at once and processes share the memory. Otherwise they are read into large pages,
    which takes a moment and pays off over many tokens.
    """
    size = places(spec, kinds, library)[1]
    try:
        with path.open("rb") as file:
            length = os.fstat(file.fileno()).st_size
            if length != BEGIN + size or file.read(BEGIN) != _header(spec, kinds, source):
                return None
            memory = _map(file.fileno()) if mapped else _read(file.fileno(), size)
    except OSError:
        return None
    return None if memory is None else Packed(spec, kinds, library, memory)


def _header(spec: ModelSpec, kinds: Kinds, source: str) -> bytes:
    said = {"layout": LAYOUT, "digest": digest(spec, kinds), "source": source}
    text = json.dumps(said, sort_keys=True).encode()
    if 12 + len(text) > BEGIN:
        raise ValueError("the name of the source is too long")
    return (MAGIC + struct.pack("<I", len(text)) + text).ljust(BEGIN, b"\0")


def _map(file: int) -> Bytes:
    memory = mmap.mmap(file, 0, access=mmap.ACCESS_READ)
    if hasattr(mmap, "MADV_WILLNEED"):
        memory.madvise(mmap.MADV_WILLNEED)
    return np.frombuffer(memory, dtype=np.uint8, offset=BEGIN)


def _read(file: int, size: int) -> Bytes | None:
    memory = reserve(size)
    at = 0
    while at < size:  # a read gives at most 2 GiB
        got = os.preadv(file, [memory[at:size].data], BEGIN + at)
        if got == 0:
            return None
        at += got
    return memory
