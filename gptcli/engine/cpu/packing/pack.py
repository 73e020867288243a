"""A model's parameters → memory laid out for the kernels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.arrays import quiet
from gptcli.engine.cpu.binding.abi import Form
from gptcli.engine.cpu.binding.library import Library
from gptcli.engine.cpu.packing.memory import Bytes, PackedWeights, places, reserve
from gptcli.engine.cpu.packing.sections import ROWS, Kinds, Section
from gptcli.engine.model.spec import ModelSpec
from gptcli.formats import ggml_blocks


@dataclass(frozen=True)
class GgmlBlocks:
    """A matrix in ggml's blocks: (rows, bytes); form: which blocks, not floats."""

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
#: Numbers of rows that are dequantised, or converted, at a time: whole panels of a matrix.
_AT_ONCE = 1 << 22


@quiet
def pack(
    spec: ModelSpec,
    kinds: Kinds,
    parameters: Mapping[str, Parameter],
    library: Library,
    *,
    memory: Bytes | None = None,
    threads: int = 1,
    done: Callable[[int, int], None] | None = None,
) -> PackedWeights:
    """Lay out parameters, which have the decoder's names, in `memory` or in some of its own.

    Blocks become a section of the kind of their name without a change of any number. done: told of
    each section when it is written, from which byte of the memory up to which. KeyError for a
    parameter that is not there, ValueError for one of another shape, or whose numbers do not become
    the section's kind.
    """
    found, size = places(spec, kinds, library)
    packed = PackedWeights(spec, kinds, library, reserve(size) if memory is None else memory)
    for name, (section, at) in found.items():
        try:
            parameter = parameters[section.parameter]
            if section.form == "matrix":
                _put_matrix(packed, section, at, parameter, library, threads)
            elif section.form == "table":
                _put_table(packed, section, at, parameter)
            else:
                _put_vector(packed, section, at, parameter)
        except ValueError as error:
            raise ValueError(f"{section.parameter}: {error}") from None
        if done is not None:
            done(*packed.extent(name))
    return packed


def _put_matrix(
    packed: PackedWeights,
    section: Section,
    at: int,
    parameter: Parameter,
    library: Library,
    threads: int,
) -> None:
    rows, columns = section.shape
    if parameter.shape != (rows, columns):
        raise ValueError(f"its shape is {parameter.shape}, not {(rows, columns)}")
    panel = library.functions.kernels_panel_bytes(section.kind, columns)

    def put(some: NDArray[np.generic], form: Form, first: int) -> None:
        source = np.ascontiguousarray(some)
        refused = library.functions.kernels_pack(
            section.kind,
            form,
            source.ctypes.data,
            source.strides[0],
            len(source),
            columns,
            packed.memory.ctypes.data + at + first // ROWS * panel,
            panel,
            threads,
        )
        if refused:
            raise ValueError(f"its {form.name} does not become {section.kind.name}")

    if not isinstance(parameter, GgmlBlocks):
        put(parameter, _FORMS[parameter.dtype.name], 0)
    elif parameter.form is section.kind:
        put(parameter.rows, parameter.form, 0)
    else:
        step = max(1, _AT_ONCE // columns // ROWS) * ROWS
        for first in range(0, rows, step):
            put(parameter[first : first + step], Form.FLOAT32, first)


def _put_table(packed: PackedWeights, section: Section, at: int, parameter: Parameter) -> None:
    rows, columns = section.shape
    if parameter.shape != (rows, columns):
        raise ValueError(f"its shape is {parameter.shape}, not {(rows, columns)}")
    to = packed.memory[at : at + 4 * rows * columns].view(np.float32).reshape(rows, columns)
    # In parts: a large table is never held twice.
    for start in range(0, rows, 4096):
        part = parameter[start : start + 4096]
        to[start : start + 4096] = as_float32(part)


def _put_vector(packed: PackedWeights, section: Section, at: int, parameter: Parameter) -> None:
    numbers = parameter[:] if isinstance(parameter, GgmlBlocks) else as_float32(parameter)
    if numbers.size != section.rows:
        raise ValueError(f"it is not an array of {section.rows} numbers")
    to = packed.memory[at : at + 4 * section.padded].view(np.float32)
    to[: section.rows] = numbers.reshape(-1) + np.float32(section.added)
    to[section.rows :] = 0


def as_float32(array: NDArray[np.generic]) -> NDArray[np.float32]:
    """Numbers of any kind, uint16 read as bfloat16, as float32."""
    if array.dtype == np.uint16:
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32, copy=False)
