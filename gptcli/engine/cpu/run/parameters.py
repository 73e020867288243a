"""What packed weights are, number by number, for who looks at them."""

from __future__ import annotations

import ctypes as c
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.cpu.binding import abi
from gptcli.engine.cpu.binding.library import DONE, Library
from gptcli.engine.cpu.packing.memory import PackedWeights


def rows_of(
    packed: PackedWeights, library: Library, threads: int, name: str, rows: Sequence[int] | None
) -> NDArray[np.float32] | None:
    """Rows of a matrix, or numbers of a vector, all where `rows` is None; None for no such section.

    Columns stand as the checkpoint has them. Raises ValueError for rows that are none.
    """
    if name not in packed.places:
        return None
    section = packed.section(name)
    if section.form != "matrix":
        whole = _floats(packed, name)
        return whole if rows is None else whole[list(rows)]
    wanted = np.array(range(section.rows) if rows is None else rows, np.int32)
    matrix = abi.Matrix(kind=section.kind, rows=section.rows, columns=section.columns)
    base = name.removesuffix(".weight")
    matrix.scale, matrix.data = packed.scale(f"{base}.scale"), packed.address(name)
    out = np.empty((len(wanted), section.columns), np.float32)
    result = library.functions.kernels_rows(
        library.instructions.encode(),
        c.byref(matrix),
        wanted.ctypes.data,
        len(wanted),
        out.ctypes.data,
        threads,
    )
    if result != DONE:
        raise ValueError(f"{name} has no such rows")
    if f"{base}.order" in packed.places:
        back = np.empty_like(out)
        back[:, _order(packed, f"{base}.order")] = out
        return back
    return out


def _floats(packed: PackedWeights, name: str) -> NDArray[np.float32]:
    """What stands as float32, in the shape of the parameter."""
    section, at = packed.places[name]
    lead = section.padded if section.form == "filter" else section.rows
    numbers = packed.memory[at : at + 4 * lead * section.columns].view(np.float32)
    if section.form == "filter":
        return numbers.reshape(section.columns, lead)[:, : section.rows].T
    return numbers.reshape(section.shape)


def _order(packed: PackedWeights, name: str) -> NDArray[np.int32]:
    """Which of what it reads meets each of a matrix' columns."""
    section, at = packed.places[name]
    return packed.memory[at : at + 4 * section.rows].view(np.int32)
