"""ggml's blocks of numbers, as GGUF files have them.

Of x, with its scale d and minimum m in float16 (one for 32 numbers), or in float16 times some bits
(for 16 or 32 of 256 numbers), and its code q of as many bits as the name says:

    Q8_0, Q4_0, Q5_0, Q3_K, Q6_K     x = d · (q - half of what q can be)
    Q4_1, Q5_1, Q2_K, Q4_K, Q5_K     x = d · q + m
    IQ4_NL, IQ4_XS                   x = d · (one of sixteen numbers)
    MXFP4                            x = 2^d · (a float of four bits)

Layout: ggml-common.h of github.com/ggml-org/ggml.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Bytes of a block by the name that ggml has for the form; blocks of 32 numbers, and of 256.
_OF_32 = {"Q8_0": 34, "Q4_0": 18, "Q4_1": 20, "Q5_0": 22, "Q5_1": 24, "IQ4_NL": 18, "MXFP4": 17}
_OF_256 = {"Q2_K": 84, "Q3_K": 110, "Q4_K": 144, "Q5_K": 176, "Q6_K": 210, "IQ4_XS": 136}
SIZES = _OF_32 | _OF_256
#: Numbers in a block.
NUMBERS = dict.fromkeys(_OF_32, 32) | dict.fromkeys(_OF_256, 256)
#: Where in a block there is a float16; MXFP4 has none.
_HALVES: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("Q8_0", "Q4_0", "Q5_0", "IQ4_NL", "IQ4_XS"), (0,)),
    **dict.fromkeys(("Q4_1", "Q5_1", "Q4_K", "Q5_K"), (0, 2)),
    "Q2_K": (80, 82),
    "Q3_K": (108,),
    "Q6_K": (208,),
    "MXFP4": (),
}
#: How ggml's words for types of blocks begin.
_BLOCKS = re.compile(r"(I?Q|TQ|MXFP|NVFP)\d")


def are_blocks(kind: str) -> bool:
    """Whether a word for a dtype is ggml's for blocks, which safetensors has none of."""
    return _BLOCKS.match(kind) is not None


def finite(rows: NDArray[np.uint8], form: str) -> bool:
    """Whether every scale and minimum in rows of blocks is a number, neither NaN nor infinite."""
    import numpy as np

    blocks = rows.reshape(len(rows), -1, SIZES[form])
    # All ones in the exponent of a float16: its upper byte, little-endian.
    exponent = np.uint8(0x7C)
    return not any((blocks[:, :, at + 1] & exponent).max() == exponent for at in _HALVES[form])


def shape(form: str, stored: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of a matrix that is stored as bytes of this shape.

    Raises ValueError, saying why in a few words, where no whole blocks have that shape.
    """
    size = SIZES[form]
    if len(stored) != 2 or 0 in stored or stored[1] % size:
        raise ValueError(f"has shape {list(stored)}, which is not rows of blocks of {size} bytes")
    return stored[0], stored[1] // size * NUMBERS[form]


def dequantise(rows: NDArray[np.uint8], form: str) -> NDArray[np.float32]:
    """(rows, bytes) → (rows, columns): bit for bit what the gguf package makes of them."""
    import gguf
    import numpy as np

    with np.errstate(invalid="ignore", over="ignore"):
        found: NDArray[np.float32] = gguf.quants.dequantize(rows, gguf.GGMLQuantizationType[form])
    return found.astype(np.float32, copy=False)
