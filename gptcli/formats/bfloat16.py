"""bfloat16, which numpy does not have: the upper halves of float32, held in uint16."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def as_bfloat16(values: NDArray[Any]) -> NDArray[np.uint16]:
    """Numbers rounded to the nearest, ties to even; what is no number stays none."""
    import numpy as np

    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    rounded = ((bits + (np.uint32(0x7FFF) + ((bits >> 16) & 1))) >> 16).astype(np.uint16)
    rounded[(bits & 0x7FFFFFFF) > 0x7F800000] = 0x7FC0
    return rounded


def from_bfloat16(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    """The same numbers in float32."""
    import numpy as np

    return (bits.astype(np.uint32) << 16).view(np.float32)


def as_float32(array: NDArray[np.generic]) -> NDArray[np.float32]:
    """Numbers of any kind, uint16 read as bfloat16, as float32."""
    import numpy as np

    if array.dtype == np.uint16:
        return from_bfloat16(array.view(np.uint16))
    return array.astype(np.float32, copy=False)
