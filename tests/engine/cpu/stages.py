"""Stages of the kernels by themselves, called as functions of numpy arrays."""

from __future__ import annotations

import ctypes as c

import numpy as np

from gptcli.engine.cpu.binding import abi
from gptcli.engine.cpu.binding.abi import FLOATS, Form, Kind, Met
from gptcli.engine.cpu.binding.library import open_library
from gptcli.engine.cpu.packing.quantise import quantise
from gptcli.formats import ggml_blocks
from gptcli.formats.bfloat16 import as_float32


def packed(rows: np.ndarray, columns: int, kind: Kind, form: Form) -> np.ndarray:
    """One matrix in panels; floats become blocks before."""
    library = open_library("portable")
    functions = library.functions
    if form in FLOATS and kind not in FLOATS:
        rows, form = quantise(as_float32(rows), kind, library).rows, kind
        columns = -(-columns // ggml_blocks.NUMBERS[kind.name]) * ggml_blocks.NUMBERS[kind.name]
    panel = functions.kernels_panel_bytes(kind, columns)
    out = np.full(-(-len(rows) // 16) * panel, 0xAB, dtype=np.uint8)
    rows = np.ascontiguousarray(rows)
    at = out.ctypes.data
    refused = functions.kernels_pack(
        kind, form, rows.ctypes.data, rows.strides[0], len(rows), columns, at, panel, 1
    )
    assert not refused
    return out


def _matrix(
    panels: np.ndarray, kind: Kind, rows: int, columns: int, order: np.ndarray | None, scale: float
) -> abi.Matrix:
    at = None if order is None else order.ctypes.data
    return abi.Matrix(panels.ctypes.data, None, at, kind, rows, columns, scale)


def product(
    instructions: str,
    panels: np.ndarray,
    kind: Kind,
    rows: int,
    x: np.ndarray,
    met: Met = Met.INT16,
    order: np.ndarray | None = None,
    scale: float = 1.0,
) -> np.ndarray:
    """x (count, columns) times packed rows, (count, rows)."""
    count, columns = x.shape
    x = np.ascontiguousarray(x, dtype=np.float32)
    matrix = _matrix(panels, kind, rows, columns, order, scale)
    out = np.empty((count, -(-rows // 16) * 16), dtype=np.float32)
    library = open_library(instructions)
    assert not library.functions.kernels_product(
        instructions.encode(), c.byref(matrix), x.ctypes.data, count, met, out.ctypes.data
    )
    assert not out[:, rows:].any()
    return out[:, :rows]


def read(
    instructions: str,
    panels: np.ndarray,
    kind: Kind,
    rows: np.ndarray,
    shape: tuple[int, int],
    scale: float = 1.0,
) -> np.ndarray:
    """Some rows of packed ones, of which there are (rows, columns), as float32."""
    out = np.empty((len(rows), shape[1]), dtype=np.float32)
    matrix = _matrix(panels, kind, *shape, None, scale)
    wanted = np.ascontiguousarray(rows, dtype=np.int32)
    assert not open_library(instructions).functions.kernels_rows(
        instructions.encode(),
        c.byref(matrix),
        wanted.ctypes.data,
        len(wanted),
        out.ctypes.data,
        2,
    )
    return out


def normalise(
    instructions: str,
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    *,
    layernorm: bool,
    eps: float,
) -> np.ndarray:
    """A norm of one row."""
    out = np.empty_like(x)
    norm = abi.Norm(weight.ctypes.data, None if bias is None else bias.ctypes.data)
    assert not open_library(instructions).functions.kernels_normalise(
        instructions.encode(), x.ctypes.data, out.ctypes.data, x.size, c.byref(norm), layernorm, eps
    )
    return out


def activate(instructions: str, x: np.ndarray, which: int) -> np.ndarray:
    """An activation, or exp (-1) or tanh (-2)."""
    out = np.empty_like(x)
    assert not open_library(instructions).functions.kernels_activate(
        instructions.encode(), x.ctypes.data, out.ctypes.data, x.size, which
    )
    return out
