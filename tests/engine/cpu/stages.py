"""Stages of the kernels by themselves, called as functions of numpy arrays."""

from __future__ import annotations

import ctypes as c

import numpy as np

from gptcli.engine.cpu.binding import abi
from gptcli.engine.cpu.binding.abi import Form, Kind
from gptcli.engine.cpu.binding.library import open_library


def packed(rows: np.ndarray, columns: int, kind: Kind, form: Form) -> np.ndarray:
    """One matrix in blocks."""
    functions = open_library("portable").functions
    block = functions.kernels_panel_bytes(kind, columns)
    out = np.full(-(-len(rows) // 16) * block, 0xAB, dtype=np.uint8)
    rows = np.ascontiguousarray(rows)
    functions.kernels_pack(
        kind, form, rows.ctypes.data, rows.strides[0], len(rows), columns, out.ctypes.data, block, 1
    )
    return out


def product(
    instructions: str,
    blocks: np.ndarray,
    kind: Kind,
    rows: int,
    x: np.ndarray,
    *,
    exact: bool = False,
) -> np.ndarray:
    """x (count, columns) times packed rows, (count, rows)."""
    count, columns = x.shape
    x = np.ascontiguousarray(x, dtype=np.float32)
    matrix = abi.Matrix(blocks.ctypes.data, None, kind, rows, columns)
    out = np.empty((count, -(-rows // 16) * 16), dtype=np.float32)
    library = open_library(instructions)
    assert not library.functions.kernels_product(
        instructions.encode(), c.byref(matrix), x.ctypes.data, count, exact, out.ctypes.data
    )
    assert not out[:, rows:].any()
    return out[:, :rows]


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
