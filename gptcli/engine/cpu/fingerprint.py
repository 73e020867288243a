"""What the numbers of a packed model depend on, in one word."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import gptcli
from gptcli.engine.cpu.packing import packed_file
from gptcli.engine.cpu.packing.memory import places, sections_of
from gptcli.engine.cpu.packing.origin import Origin
from gptcli.engine.cpu.packing.section import Kinds
from gptcli.engine.cpu.run.model import KernelModel

if TYPE_CHECKING:
    from gptcli.engine.cpu.binding.abi import Met

#: Grows whenever what a state holds, or how it lies in memory, changes.
STATES = 2


def fingerprint(
    model: KernelModel, kinds: Kinds, origin: Origin, kept: Path, met: Met, cache: str
) -> str:
    """64 hex digits: the weights' files, how they were packed, and all that computes with them.

    kept: where packed weights are, perhaps; those that were rounded anew may be others. met: as
    what activations meet weights; cache: the dtype of keys and values. Threads are left out, on
    which no number depends.
    """
    found, _ = places(model.spec, kinds, model.library)
    said = [
        STATES,
        gptcli.__version__,
        packed_file.digest(sections_of(found), origin),
        origin.stamp,
        [model.library.instructions, met.name, cache, model.context],
        # The kernels were built from some sources, by some compiler.
        [_state(model.library.path), _state(kept)],
        # Angles are made in numpy; a few activations are the C library's.
        [np.__version__, os.confstr("CS_GNU_LIBC_VERSION") if _has_glibc() else None],
    ]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _state(path: Path) -> list[int] | None:
    """What the system says of a file that is replaced whole or not at all."""
    try:
        said = path.stat()
    except OSError:
        return None
    return [said.st_size, said.st_mtime_ns, said.st_ino]


def _has_glibc() -> bool:
    return "CS_GNU_LIBC_VERSION" in getattr(os, "confstr_names", {})
