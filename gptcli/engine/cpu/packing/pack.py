"""A model's parameters → memory laid out for the kernels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.arrays import quiet
from gptcli.engine.cpu.binding.abi import TABLES, Form, Kind
from gptcli.engine.cpu.binding.library import Library
from gptcli.engine.cpu.packing.memory import Bytes, PackedWeights, places, reserve
from gptcli.engine.cpu.packing.sections import ROWS, Kinds, Section
from gptcli.engine.model.spec import ModelSpec
from gptcli.formats import ggml_blocks
from gptcli.formats.bfloat16 import as_bfloat16


@dataclass(frozen=True)
class GgmlBlocks:
    """A matrix in ggml's blocks of 32 numbers: (rows, bytes); form Q8_0, Q4_0 or Q4_1."""

    rows: Bytes
    form: Form

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, as numbers."""
        return ggml_blocks.shape(self.form.name, self.rows.shape)

    def __getitem__(self, rows: slice) -> NDArray[np.float32]:
        """Some rows, dequantised."""
        return ggml_blocks.dequantise(self.rows[rows], self.form.name)


#: float32, float16, or uint16, which holds bfloat16; or ggml's blocks.
Parameter = NDArray[np.float32] | NDArray[np.float16] | NDArray[np.uint16] | GgmlBlocks

_FORMS = {"float32": Form.FLOAT32, "uint16": Form.BFLOAT16, "float16": Form.FLOAT16}


@quiet
def pack(
    spec: ModelSpec,
    kinds: Kinds,
    parameters: Mapping[str, Parameter],
    library: Library,
    *,
    memory: Bytes | None = None,
    threads: int = 1,
) -> PackedWeights:
    """Lay out parameters, which have the decoder's names, in `memory` or in some of its own.

    Blocks become a section of the kind that keeps them, see abi.KEEPING, without a change of any
    number. KeyError for a parameter that is not there, ValueError for one of another shape.
    """
    found, size = places(spec, kinds, library)
    packed = PackedWeights(spec, kinds, library, reserve(size) if memory is None else memory)
    for section, at in found.values():
        for number, name in enumerate(section.parts):
            try:
                if section.form == "matrix":
                    _put_matrix(packed, section, at, number, parameters[name], library, threads)
                elif section.form == "table":
                    _put_table(packed, section, at, parameters[name])
                else:
                    _put_vector(packed, section, at, number, parameters[name])
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
    return packed


def _put_matrix(
    packed: PackedWeights,
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
    stored = parameter.rows if isinstance(parameter, GgmlBlocks) else parameter
    form = parameter.form if isinstance(parameter, GgmlBlocks) else _FORMS[parameter.dtype.name]
    source: NDArray[np.generic] = np.ascontiguousarray(stored)
    panel = library.functions.kernels_panel_bytes(section.kind, columns)
    if section.turns:
        first, step = number * panel, len(section.parts) * panel
    else:
        first, step = sum(section.padded[:number]) // ROWS * panel, panel
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


def _put_table(packed: PackedWeights, section: Section, at: int, parameter: Parameter) -> None:
    rows, columns = section.rows[0], section.columns
    if parameter.shape != (rows, columns):
        raise ValueError(f"its shape is {parameter.shape}, not {(rows, columns)}")
    kind = np.dtype(TABLES[section.kind])
    to = packed.memory[at : at + rows * columns * kind.itemsize].view(kind).reshape(rows, columns)
    # In parts: a large table is never held twice.
    for start in range(0, rows, 4096):
        part = parameter[start : start + 4096]
        to[start : start + 4096] = part if part.dtype == kind else _converted(part, section.kind)


def _put_vector(
    packed: PackedWeights, section: Section, at: int, number: int, parameter: Parameter
) -> None:
    size = section.rows[number]
    numbers = parameter[:] if isinstance(parameter, GgmlBlocks) else as_float32(parameter)
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
