"""ggml's blocks of numbers, kept as they are in safetensors.

config.json says `"quantization_config": {"quant_method": "gguf-blocks"}`. The weight of a module
is then either its plain `weight`, or a tensor of bytes, U8 (out, in / numbers · size), whose name
says which blocks they are: `weight_q8_0`, `weight_q4_k` and so on.

Of x, with its scale d and minimum m in float16 (one for 32 numbers), or in float16 times some bits
(for 16 or 32 of 256 numbers), and its code q of as many bits as the name says:

    Q8_0, Q4_0, Q5_0, Q3_K, Q6_K     x = d · (q - half of what q can be)
    Q4_1, Q5_1, Q2_K, Q4_K, Q5_K     x = d · q + m
    IQ4_NL, IQ4_XS                   x = d · (one of sixteen numbers)
    MXFP4                            x = 2^d · (a float of four bits)

Layout: ggml-common.h of github.com/ggml-org/ggml.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gptcli.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

METHOD = "gguf-blocks"
#: Bytes of a block by the name that ggml has for the form; blocks of 32 numbers, and of 256.
_OF_32 = {"Q8_0": 34, "Q4_0": 18, "Q4_1": 20, "Q5_0": 22, "Q5_1": 24, "IQ4_NL": 18, "MXFP4": 17}
_OF_256 = {"Q2_K": 84, "Q3_K": 110, "Q4_K": 144, "Q5_K": 176, "Q6_K": 210, "IQ4_XS": 136}
SIZES = _OF_32 | _OF_256
#: Numbers in a block.
NUMBERS = dict.fromkeys(_OF_32, 32) | dict.fromkeys(_OF_256, 256)
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
    return stored[0], stored[1] // size * NUMBERS[form]


def shape_in(file: Path, name: str, form: str, stored: tuple[int, ...]) -> tuple[int, int]:
    """The same of a tensor in a file. Raises ModelError, which names both."""
    try:
        return shape(form, stored)
    except ValueError as error:
        raise ModelError(str(file), f"tensor {name} {error}") from None


def dequantise(rows: NDArray[np.uint8], form: str) -> NDArray[np.float32]:
    """(rows, bytes) → (rows, columns): bit for bit what the gguf package makes of them."""
    import gguf
    import numpy as np

    with np.errstate(invalid="ignore", over="ignore"):
        found: NDArray[np.float32] = gguf.quants.dequantize(rows, gguf.GGMLQuantizationType[form])
    return found.astype(np.float32, copy=False)
