"""Packed weights kept in one file, so that the next start needs no packing.

    bytes 0 … 7     "GPTPACK" and a zero
    bytes 8 … 11    length of what follows, unsigned, little-endian
    JSON            {"layout": …, "digest": …, "source": …}
    from 4096 on    the sections, as `memory.places` has them

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

from gptcli.engine.cpu.binding.library import Library
from gptcli.engine.cpu.packing.memory import PackedWeights, places
from gptcli.engine.cpu.packing.moving import Moving
from gptcli.engine.cpu.packing.sections import Kinds, sections
from gptcli.engine.model.spec import ModelSpec

#: Grows whenever a layout of source/kinds/, or what stands in a section, changes.
LAYOUT = 2
MAGIC = b"GPTPACK\0"
BEGIN = 4096


def digest(spec: ModelSpec, kinds: Kinds) -> str:
    """What the bytes of packed weights depend on, beside the weights themselves."""
    # Not dataclasses.astuple, whose deep copies take a fifth of what opening a model does.
    described = [LAYOUT, [list(vars(each).values()) for each in sections(spec, kinds)]]
    return hashlib.sha256(json.dumps(described).encode()).hexdigest()


def save(packed: PackedWeights, path: Path, source: str) -> None:
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
    path: Path, spec: ModelSpec, kinds: Kinds, library: Library, source: str
) -> PackedWeights | None:
    """The weights that `save` wrote, or None where there are none, others, or not all of them.

    They stay in the file, whose pages processes share and the system brings in as they are read,
    so that the first token comes at once; `PackedWeights.mover` knows a place that is better later
    on.
    """
    size = places(spec, kinds, library)[1]
    try:
        with path.open("rb") as file:
            length = os.fstat(file.fileno()).st_size
            if length != BEGIN + size or file.read(BEGIN) != _header(spec, kinds, source):
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


def _header(spec: ModelSpec, kinds: Kinds, source: str) -> bytes:
    said = {"layout": LAYOUT, "digest": digest(spec, kinds), "source": source}
    text = json.dumps(said, sort_keys=True).encode()
    if 12 + len(text) > BEGIN:
        raise ValueError("the name of the source is too long")
    return (MAGIC + struct.pack("<I", len(text)) + text).ljust(BEGIN, b"\0")
