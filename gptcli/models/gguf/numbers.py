"""Bytes of ggml types as numbers, and numbers as they are stored."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from gptcli.formats.bfloat16 import as_bfloat16

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


@cache
def readable(kind: str) -> bool:
    """Whether numbers can be made of a ggml type: the gguf package is asked with one block."""
    import numpy as np
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    size = GGML_QUANT_SIZES[GGMLQuantizationType[kind]][1]
    try:
        floats(np.zeros((1, size), np.uint8), kind)
    except NotImplementedError:
        return False
    return True


def floats(rows: Array, kind: str) -> Array:
    """Rows of bytes of a ggml type as numbers; those of the gguf package, bit for bit.

    Raises NotImplementedError for a type that it cannot read.
    """
    import numpy as np
    from gguf.constants import GGMLQuantizationType
    from gguf.quants import dequantize

    if kind == "F64":
        return np.ascontiguousarray(rows).view(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        found: Array = dequantize(np.ascontiguousarray(rows), GGMLQuantizationType[kind])
    return found


def encoder(dtype: str) -> Callable[[Array], Array]:
    """Numbers as they are stored in a dtype. FloatingPointError for one beyond its range."""
    import numpy as np

    def plain(values: Array) -> Array:
        with np.errstate(over="raise"):
            return values.astype(np.float16 if dtype == "F16" else np.float32)

    return as_bfloat16 if dtype == "BF16" else plain
