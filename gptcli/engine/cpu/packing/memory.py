"""Packed weights in memory: which section stands where."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.cpu.binding.library import Library
from gptcli.engine.cpu.packing.section import (
    EMBEDDING,
    LAYER_TABLE,
    LINE,
    UNEMBEDDING,
    Kinds,
    Section,
)
from gptcli.engine.cpu.packing.sections import sections
from gptcli.engine.model.spec import ModelSpec

Bytes = NDArray[np.uint8]
#: Sections by name, and where each begins.
Places = dict[str, tuple[Section, int]]


class Mover(Protocol):
    """What brings weights to a better place, part by part, while they are used."""

    def step(self) -> list[str]:
        """Move some; the names of these sections, none where nothing is left to be moved."""
        ...


class PackedWeights:
    """Packed weights: sections in one piece of memory, some of them perhaps in another since."""

    def __init__(
        self,
        spec: ModelSpec,
        kinds: Kinds,
        library: Library,
        memory: Bytes,
        placed: tuple[Places, int] | None = None,
    ) -> None:
        """placed: what `places` gives, where it was asked already."""
        self.spec, self.kinds = spec, kinds
        self.places, self.size = placed or places(spec, kinds, library)
        if memory.nbytes < self.size:
            raise ValueError(f"{memory.nbytes} bytes are not the {self.size} of this model")
        self._panel_bytes = library.functions.kernels_panel_bytes
        self.memory = memory
        #: Sections that stand at the same place of another piece of memory.
        self.moved: dict[str, Bytes] = {}
        #: By which part of themselves rounding changed the numbers, see `Rounding.changed`.
        self.changed = 0.0
        #: What moves them there, where that may pay.
        self.mover: Mover | None = None

    def address(self, name: str) -> int | None:
        """Where a section begins, or None where the model has no such section."""
        found = self.places.get(name)
        if found is None:
            return None
        return int(self.moved.get(name, self.memory).ctypes.data) + found[1]

    def extent(self, name: str) -> tuple[int, int]:
        """The first byte of a section in the memory, and the one after its last."""
        section, start = self.places[name]
        return start, start + section.bytes(self._panel_bytes)

    def vector(self, name: str) -> NDArray[np.float32]:
        """The numbers of a vector."""
        section, at = self.places[name]
        return self.memory[at : at + 4 * section.rows].view(np.float32)

    def scale(self, name: str) -> float:
        """A scale of that name, 1 where there is none."""
        return float(self.vector(name)[0]) if name in self.places else 1.0

    def section(self, name: str) -> Section:
        """The section of that name."""
        return self.places[name][0]

    @property
    def head(self) -> str:
        """The name of the section that is the unembedding."""
        return UNEMBEDDING if UNEMBEDDING in self.places else EMBEDDING

    def read_whole(self) -> Iterator[Section]:
        """All sections but those of which a token takes one row: tables, an embedding alone."""
        rows = {LAYER_TABLE} if self.head == EMBEDDING else {LAYER_TABLE, EMBEDDING}
        for name, (section, _) in self.places.items():
            if section.form != "table" and name not in rows:
                yield section

    @property
    def begun(self) -> int:
        """How many of the bytes are of use from the first token on: all but the layers' table."""
        return self.places[LAYER_TABLE][1] if LAYER_TABLE in self.places else self.size


def places(spec: ModelSpec, kinds: Kinds, library: Library) -> tuple[Places, int]:
    """The sections of a model and where each begins, and how many bytes they take."""
    found: Places = {}
    at = 0
    for section in sections(spec, kinds):
        found[section.name] = (section, at)
        at += -(-section.bytes(library.functions.kernels_panel_bytes) // LINE) * LINE
    return found, at


def sections_of(found: Places) -> Iterator[Section]:
    """The sections, in their order."""
    return (section for section, _ in found.values())


def reserve(size: int) -> Bytes:
    """Zeroed memory of its own, in large pages where the system has them."""
    # Private: shared memory, which is the default, gets no large pages.
    memory = mmap.mmap(-1, max(size, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, dtype=np.uint8)
