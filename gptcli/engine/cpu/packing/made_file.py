"""Packed weights as a file is made of them: see `packed_file`, which reads it."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gptcli import atomic, identity
from gptcli.engine.cpu.binding.library import Library
from gptcli.engine.cpu.packing.memory import PackedWeights, places, sections_of
from gptcli.engine.cpu.packing.origin import Origin
from gptcli.engine.cpu.packing.pack import Parameter, pack_into
from gptcli.engine.cpu.packing.packed_file import about, both, digest, told_with
from gptcli.engine.cpu.packing.quantise import Rounding
from gptcli.engine.cpu.packing.section import Kinds
from gptcli.engine.cpu.packing.writing import writing
from gptcli.engine.model.spec import ModelSpec
from gptcli.errors import ModelError
from gptcli.formats import packed_header
from gptcli.formats.packed_header import BEGIN, note


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
    told: str | None = None,
) -> None:
    """Pack weights into a file that is whole or not there; memory does not grow with the model.

    hashed: so that it can be told from its content, too. grids, told: what is known of the weights,
    see `packed_file`. Nothing is left behind where that fails: OSError where the file
    cannot be written, ModelError where the origin changes meanwhile, and what `pack_into` raises.
    """
    found, size = places(spec, kinds, library)
    said = {
        "digest": digest(sections_of(found), origin),
        "directory": str(origin.directory.resolve()),
    }
    if grids is not None:
        said["grids"] = grids
    if told is not None:
        said["kinds"], said["kinds_of"] = told, told_with(told, origin)
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
        identity.vouch(
            note(path),
            about(said, identity.boot()),
            both(path, file, origin),
        )


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
