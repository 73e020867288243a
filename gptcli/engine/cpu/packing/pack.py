"""A model's parameters → memory laid out for the kernels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.arrays import quiet
from gptcli.engine.cpu.binding.abi import FLOATS, Form
from gptcli.engine.cpu.binding.library import Library
from gptcli.engine.cpu.packing.coded import CodedRows
from gptcli.engine.cpu.packing.memory import Bytes, PackedWeights, places, reserve
from gptcli.engine.cpu.packing.quantise import Rounding
from gptcli.engine.cpu.packing.section import ROWS, Kinds, Section
from gptcli.engine.model.spec import ModelSpec
from gptcli.formats import ggml_blocks
from gptcli.formats.bfloat16 import as_float32
from gptcli.plain import dataclass


class UnreadBytes(Protocol):
    """Rows of bytes, some of which are read when they are asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, bytes)."""
        ...

    def __getitem__(self, rows: slice) -> Bytes:
        """Some of them."""
        ...


@dataclass(frozen=True)
class GgmlBlocks:
    """A matrix in ggml's blocks: (rows, bytes); form: which blocks, not floats."""

    rows: Bytes | UnreadBytes
    form: Form

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, as numbers."""
        return ggml_blocks.shape(self.form.name, self.rows.shape)

    def blocks(self, rows: slice) -> Bytes:
        """Some rows as they are."""
        return self.rows[rows]

    def __getitem__(self, rows: slice) -> NDArray[np.float32]:
        """Some rows, dequantised."""
        return ggml_blocks.dequantise(self.rows[rows], self.form.name)


class UnreadNumbers(Protocol):
    """A matrix of numbers, some rows of which are read when they are asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        ...

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        """Some rows, of one of the dtypes that arrays have here."""
        ...


Numbers = NDArray[np.float32] | NDArray[np.float16] | NDArray[np.uint16]
#: float32, float16, or uint16, which holds bfloat16; or blocks. A matrix may be unread yet.
Parameter = Numbers | UnreadNumbers | GgmlBlocks | CodedRows

_FORMS = {"float32": Form.FLOAT32, "uint16": Form.BFLOAT16, "float16": Form.FLOAT16}
#: Numbers of rows that are read, and packed, at a time: whole panels of a matrix.
_AT_ONCE = 1 << 22


class Target(Protocol):
    """Where packed weights go: bytes that are written in their order, some at a time."""

    def room(self, first: int, end: int) -> Bytes:
        """Memory for bytes [first, end) of all sections."""
        ...

    def done(self, first: int, end: int) -> None:
        """They are written; that room may be used for others."""
        ...


@dataclass(frozen=True)
class _Memory:
    """A piece of memory for all."""

    memory: Bytes

    def room(self, first: int, end: int) -> Bytes:
        """See Target."""
        return self.memory[first:end]

    def done(self, first: int, end: int) -> None:
        """See Target."""


def pack(
    spec: ModelSpec,
    kinds: Kinds,
    parameters: Mapping[str, Parameter],
    library: Library,
    *,
    threads: int = 1,
    rounding: Rounding | None = None,
) -> PackedWeights:
    """Lay out parameters, which have the decoder's names, in memory. See `pack_into`."""
    memory = reserve(places(spec, kinds, library)[1])
    into, rounding = _Memory(memory), rounding or Rounding()
    pack_into(into, spec, kinds, parameters, library, threads=threads, rounding=rounding)
    packed = PackedWeights(spec, kinds, library, memory)
    packed.changed = rounding.changed
    return packed


@quiet
def pack_into(
    target: Target,
    spec: ModelSpec,
    kinds: Kinds,
    parameters: Mapping[str, Parameter],
    library: Library,
    *,
    threads: int = 1,
    rounding: Rounding | None = None,
) -> None:
    """Lay out parameters, section by section and some rows at a time.

    Blocks become a section of the kind of their name without a change of any number; floats become
    blocks by `rounding`. KeyError for a parameter that is not there, ValueError for one of another
    shape, or whose numbers do not become the section's kind.
    """
    rounding = Rounding() if rounding is None else rounding
    for section, at in places(spec, kinds, library)[0].values():
        try:
            parameter = parameters[section.parameter]
            if section.form == "vector":
                _put_vector(target, section, at, parameter)
            elif section.form == "filter":
                _put_filter(target, section, at, parameter)
            elif section.form in ("order", "scale"):
                _put_beside(target, section, at, parameter)
            elif parameter.shape != section.shape:
                raise ValueError(f"its shape is {parameter.shape}, not {section.shape}")
            elif section.form == "matrix":
                _put_matrix(target, section, at, parameter, library, threads, rounding)
            else:
                _put_table(target, section, at, parameter)
        except ValueError as error:
            raise ValueError(f"{section.parameter}: {error}") from None


def _steps(section: Section) -> Iterator[slice]:
    """Rows that are packed at a time."""
    step = max(1, _AT_ONCE // section.columns // ROWS) * ROWS
    for first in range(0, section.rows, step):
        yield slice(first, min(first + step, section.rows))


def _put_matrix(
    target: Target,
    section: Section,
    at: int,
    parameter: Parameter,
    library: Library,
    threads: int,
    rounding: Rounding,
) -> None:
    panel = library.functions.kernels_panel_bytes(section.kind, section.columns)
    columns = section.columns
    for rows in _steps(section):
        some: NDArray[np.generic]
        if isinstance(parameter, GgmlBlocks | CodedRows) and parameter.form is section.kind:
            some, form = parameter.blocks(rows), section.kind
        elif section.kind in FLOATS:
            some = parameter[rows]
            form = _FORMS[some.dtype.name]
        else:
            form, floats = section.kind, as_float32(parameter[rows])
            some = rounding.rows(section.name, floats, form, library, threads)
            columns = ggml_blocks.shape(form.name, some.shape)[1]
        source = np.ascontiguousarray(some)
        panels = -(-len(source) // ROWS)
        first = at + rows.start // ROWS * panel
        to = target.room(first, first + panels * panel)
        refused = library.functions.kernels_pack(
            section.kind,
            form,
            source.ctypes.data,
            source.strides[0],
            len(source),
            columns,
            to.ctypes.data,
            panel,
            threads,
        )
        if refused:
            raise ValueError(f"its {form.name} does not become {section.kind.name}")
        target.done(first, first + panels * panel)


def _put_table(target: Target, section: Section, at: int, parameter: Parameter) -> None:
    width = 4 * section.columns
    for rows in _steps(section):
        first, end = at + width * rows.start, at + width * rows.stop
        to = target.room(first, end).view(np.float32).reshape(-1, section.columns)
        to[:] = as_float32(parameter[rows])
        target.done(first, end)


def _put_beside(target: Target, section: Section, at: int, parameter: Parameter) -> None:
    """What goes with a matrix that is packed as its own blocks."""
    if not isinstance(parameter, CodedRows):
        raise ValueError(f"it has no {section.form}")
    end = at + 4 * section.rows
    if section.form == "scale":
        target.room(at, end).view(np.float32)[:] = parameter.scale
    elif parameter.order is None:
        raise ValueError("its columns have no order")
    else:
        target.room(at, end).view(np.int32)[:] = parameter.order
    target.done(at, end)


def _put_vector(target: Target, section: Section, at: int, parameter: Parameter) -> None:
    numbers = as_float32(np.asarray(parameter[:]))
    if numbers.size != section.rows:
        raise ValueError(f"it is not an array of {section.rows} numbers")
    end = at + 4 * section.padded
    to = target.room(at, end).view(np.float32)
    to[: section.rows] = numbers.reshape(-1) + np.float32(section.added)
    to[section.rows :] = 0
    target.done(at, end)


def _put_filter(target: Target, section: Section, at: int, parameter: Parameter) -> None:
    if parameter.shape != section.shape:
        raise ValueError(f"its shape is {parameter.shape}, not {section.shape}")
    end = at + 4 * section.padded * section.columns
    to = target.room(at, end).view(np.float32).reshape(section.columns, section.padded)
    to[:, : section.rows] = as_float32(np.asarray(parameter[:])).T
    to[:, section.rows :] = 0
    target.done(at, end)
