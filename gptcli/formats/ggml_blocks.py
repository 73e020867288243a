"""GGUF's blocks of 32 numbers, kept as they are in safetensors.

config.json says `"quantization_config": {"quant_method": "gguf-blocks"}`. The weight of a module
is then either its plain `weight`, or a tensor of bytes, U8 (out, in / 32 · size), whose name says
which blocks they are: `weight_q8_0`, `weight_q4_0` or `weight_q4_1`.

A block begins with its scale d in float16, little-endian; of x:

    Q8_0  34 bytes  d, 32 signed bytes q                          x = d · q
    Q4_0  18 bytes  d, 16 bytes, each with numbers i and i + 16   x = d · (q - 8)
    Q4_1  20 bytes  d, the minimum m in float16, 16 bytes alike   x = d · q + m

The lower four bits are number i. Layout: ggml-common.h of github.com/ggml-org/ggml.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gptcli.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

METHOD = "gguf-blocks"
#: Numbers in a block, and its bytes by the name that ggml has for the form.
NUMBERS = 32
SIZES = {"Q8_0": 34, "Q4_0": 18, "Q4_1": 20}
#: What stands for `weight` at the end of a stored name → the form.
PARTS = {f"weight_{form.lower()}": form for form in SIZES}


def form_of(name: str) -> str | None:
    """The form that a stored name says, None for a name that says none."""
    return PARTS.get(name.rpartition(".")[2])


def plain_name(name: str) -> str:
    """The name of the weight that such a tensor stands for."""
    return name.rpartition(".")[0] + ".weight"


def stored_name(name: str, form: str) -> str:
    """The name under which a weight is stored in blocks."""
    return f"{name}_{form.lower()}"


def shape(form: str, stored: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of a matrix that is stored as bytes of this shape.

    Raises ValueError, saying why in a few words, where no whole blocks have that shape.
    """
    size = SIZES[form]
    if len(stored) != 2 or 0 in stored or stored[1] % size:
        raise ValueError(f"has shape {list(stored)}, which is not rows of blocks of {size} bytes")
    return stored[0], stored[1] // size * NUMBERS


def shape_in(file: Path, name: str, form: str, stored: tuple[int, ...]) -> tuple[int, int]:
    """The same of a tensor in a file. Raises ModelError, which names both."""
    try:
        return shape(form, stored)
    except ValueError as error:
        raise ModelError(str(file), f"tensor {name} {error}") from None


def dequantise(rows: NDArray[np.uint8], form: str) -> NDArray[np.float32]:
    """(rows, bytes) → (rows, columns): bit for bit what the gguf package makes of them."""
    import numpy as np

    count, size = len(rows), SIZES[form]
    parts = rows.reshape(count, -1, size)
    # float16 is read of copies, since a block's address may be odd.
    with np.errstate(invalid="ignore", over="ignore"):
        scales = parts[:, :, :2].copy().view("<f2").astype(np.float32)
        if form == "Q8_0":
            return (parts[:, :, 2:].view(np.int8) * scales).reshape(count, -1)
        out = np.empty((count, parts.shape[1], NUMBERS), dtype=np.float32)
        fours = parts[:, :, size - 16 :]
        out[:, :, :16], out[:, :, 16:] = fours & 15, fours >> 4
        if form == "Q4_0":
            out -= np.float32(8)
        out *= scales
        if form == "Q4_1":
            out += parts[:, :, 2:4].copy().view("<f2").astype(np.float32)
    return out.reshape(count, -1)
