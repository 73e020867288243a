"""Keys as the kernels keep them → position by position, for who looks at them from Python."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.kernels.pack import as_float32


def keys_of(keys: NDArray[Any], length: int) -> NDArray[np.float32]:
    """Those of the first `length` positions of a layer, (batch, kv_heads, length, head_dim)."""
    return as_float32(keys[:, :, :length])
