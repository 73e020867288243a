"""A model's parameters → memory laid out for the kernels."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.cpu.binding.abi import Form, Kind
from gptcli.engine.cpu.binding.library import Library
from gptcli.engine.cpu.packing.sections import LINE, ROWS, Kinds, Section, sections
from gptcli.engine.model.spec import ModelSpec
from gptcli.formats import ggml_blocks as blocks
from gptcli.formats.bfloat16 import as_bfloat16

if TYPE_CHECKING:
    from gptcli.engine.cpu.packing.moving import Moving

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Blocks:
    """A matrix in GGUF's blocks of 32 numbers: (rows, bytes); form Q8_0, Q4_0 or Q4_1."""

    rows: Bytes
    form: Form

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, as numbers."""
        return blocks.shape(self.form.name, self.rows.shape)

    def __getitem__(self, rows: slice) -> NDArray[np.float32]:
        """Some rows, dequantised."""
        return blocks.dequantise(self.rows[rows], self.form.name)


#: float32, float16, or uint16, which holds bfloat16; or GGUF's blocks.
Parameter = NDArray[np.float32] | NDArray[np.float16] | NDArray[np.uint16] | Blocks

_FORMS = {"float32": Form.FLOAT32, "uint16": Form.BFLOAT16, "float16": Form.FLOAT16}
_TABLES = {Kind.FLOAT32: "float32", Kind.BFLOAT16: "uint16", Kind.FLOAT16: "float16"}


class Packed:
    """Packed weights: sections in one piece of memory, or moving from there to another."""

    def __init__(self, spec: ModelSpec, kinds: Kinds, library: Library, memory: Bytes) -> None:
        self.spec, self.kinds = spec, kinds
        self.places, self.size = places(spec, kinds, library)
        if memory.nbytes < self.size:
            raise ValueError(f"{memory.nbytes} bytes are not the {self.size} of this model")
        self._block_bytes = library.functions.kernels_block_bytes
        self.memory = memory
        #: What moves them to a better place, where they are in a file.
        self.moving: Moving | None = None

    def address(self, name: str) -> int | None:
        """Where a section begins, or None where the model has no such section."""
        found = self.places.get(name)
        if found is None:
            return None
        moved = self.moving is not None and name in self.moving.moved
        memory = self.moving.memory if self.moving is not None and moved else self.memory
        return int(memory.ctypes.data) + found[1]

    def extent(self, name: str) -> tuple[int, int]:
        """The first byte of a section in the memory, and the one after its last."""
        section, start = self.places[name]
        return start, start + section.bytes(self._block_bytes)

    def rows(self, name: str) -> NDArray[np.generic]:
        """A table's rows, or the numbers of a vector in one row, as they are stored."""
        section, at = self.places[name]
        kind = np.dtype(_TABLES[section.kind])
        count, columns = sum(section.rows), section.columns
        shape = (count, columns) if section.form == "table" else (1, count)
        numbers = self.memory[at : at + count * columns * kind.itemsize]
        return numbers.view(kind).reshape(shape)

    def section(self, name: str) -> Section:
        """The section of that name."""
        return self.places[name][0]


def places(
    spec: ModelSpec, kinds: Kinds, library: Library
) -> tuple[dict[str, tuple[Section, int]], int]:
    """The sections of a model and where each begins, and how many bytes they take."""
    found, at = {}, 0
    for section in sections(spec, kinds):
        found[section.name] = (section, at)
        at += -(-section.bytes(library.functions.kernels_block_bytes) // LINE) * LINE
    return found, at


def reserve(size: int) -> Bytes:
    """Zeroed memory of its own, in large pages where the system has them."""
    # Private: shared memory, which is the default, gets no large pages.
    memory = mmap.mmap(-1, max(size, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, dtype=np.uint8)


def pack(
    spec: ModelSpec,
    kinds: Kinds,
    parameters: Mapping[str, Parameter],
    library: Library,
    *,
    memory: Bytes | None = None,
    threads: int = 1,
) -> Packed:
    """Lay out parameters, which have the decoder's names, in `memory` or in some of its own.

    Blocks become a section of their own kind (Q8_0 INT8, Q4_0 and Q4_1 INT4) without a change of
    any number. KeyError for a parameter that is not there, ValueError for one of another shape.
    """
    found, size = places(spec, kinds, library)
    packed = Packed(spec, kinds, library, reserve(size) if memory is None else memory)
    for section, at in found.values():
        for number, name in enumerate(section.parts):
            try:
                if section.form == "blocks":
                    _put_blocks(packed, section, at, number, parameters[name], library, threads)
                elif section.form == "table":
                    _put_table(packed, section, at, parameters[name])
                else:
                    _put_vector(packed, section, at, number, parameters[name])
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
    return packed


def _put_blocks(
    packed: Packed,
    section: Section,
    at: int,
    number: int,
    parameter: Parameter,
    library: Library,
    threads: int,
) -> None:
    rows, columns = section.rows[number], section.columns
    if parameter.shape != (rows, columns):
        raise ValueError(f"its shape is {parameter.shape}, not {(rows, columns)}")
    stored = parameter.rows if isinstance(parameter, Blocks) else parameter
    form = parameter.form if isinstance(parameter, Blocks) else _FORMS[parameter.dtype.name]
    source: NDArray[np.generic] = np.ascontiguousarray(stored)
    block = library.functions.kernels_block_bytes(section.kind, columns)
    if section.turns:
        first, step = number * block, len(section.parts) * block
    else:
        first, step = sum(section.padded[:number]) // ROWS * block, block
    library.functions.kernels_pack(
        section.kind,
        form,
        source.ctypes.data,
        source.strides[0],
        rows,
        columns,
        packed.memory.ctypes.data + at + first,
        step,
        threads,
    )


def _put_table(packed: Packed, section: Section, at: int, parameter: Parameter) -> None:
    rows, columns = section.rows[0], section.columns
    if parameter.shape != (rows, columns):
        raise ValueError(f"its shape is {parameter.shape}, not {(rows, columns)}")
    kind = np.dtype(_TABLES[section.kind])
    to = packed.memory[at : at + rows * columns * kind.itemsize].view(kind).reshape(rows, columns)
    # In parts: a large table is never held twice.
    for start in range(0, rows, 4096):
        part = parameter[start : start + 4096]
        to[start : start + 4096] = part if part.dtype == kind else _converted(part, section.kind)


def _put_vector(
    packed: Packed, section: Section, at: int, number: int, parameter: Parameter
) -> None:
    size = section.rows[number]
    numbers = parameter[:] if isinstance(parameter, Blocks) else as_float32(parameter)
    if numbers.size != size:
        raise ValueError(f"it is not an array of {size} numbers")
    total = sum(section.padded)
    to = packed.memory[at : at + 4 * total].view(np.float32)
    if section.turns:
        to = to.reshape(-1, len(section.parts), ROWS)[:, number]
    else:
        start = sum(section.padded[:number])
        to = to[start : start + section.padded[number]]
    padded = np.zeros(section.padded[number], dtype=np.float32)
    padded[:size] = numbers.reshape(-1) + np.float32(section.added)
    to[...] = padded.reshape(to.shape)


def as_float32(array: NDArray[np.generic]) -> NDArray[np.float32]:
    """Numbers of any kind, uint16 read as bfloat16, as float32."""
    if array.dtype == np.uint16:
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32, copy=False)


def _converted(array: NDArray[np.generic], kind: Kind) -> NDArray[np.generic]:
    numbers = as_float32(array)
    if kind is Kind.BFLOAT16:
        return as_bfloat16(numbers)
    return numbers if kind is Kind.FLOAT32 else numbers.astype(np.float16)
