"""Bytes of ggml types as numbers: those of the gguf package, bit for bit."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from gptcli.formats import ggml_blocks
from gptcli.formats.bfloat16 import from_bfloat16

#: Types that numpy has itself.
_OWN = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}


@cache
def readable(kind: str) -> bool:
    """Whether numbers can be made of a ggml type: the gguf package is asked with one block."""
    if kind in _OWN or kind in ggml_blocks.SIZES:
        return True
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    size = GGML_QUANT_SIZES[GGMLQuantizationType[kind]][1]
    try:
        floats(np.zeros((1, size), np.uint8), kind)
    except NotImplementedError:
        return False
    return True


def floats(rows: NDArray[np.uint8], kind: str) -> NDArray[np.floating]:
    """Rows of bytes of a ggml type as numbers, float32 but for F64.

    Raises NotImplementedError for a type that the gguf package cannot read.
    """
    rows = np.ascontiguousarray(rows)
    if kind in _OWN:
        found: NDArray[np.floating] = rows.view(_OWN[kind])
        return found if kind == "F64" else found.astype(np.float32, copy=False)
    if kind == "BF16":
        return from_bfloat16(rows.view("<u2"))
    if kind in ggml_blocks.SIZES:
        return ggml_blocks.dequantise(rows, kind)
    # Only here, since it takes a third of a second.
    from gguf.constants import GGMLQuantizationType
    from gguf.quants import dequantize

    with np.errstate(invalid="ignore", over="ignore"):
        numbers: NDArray[np.float32] = dequantize(rows, GGMLQuantizationType[kind])
    return numbers
