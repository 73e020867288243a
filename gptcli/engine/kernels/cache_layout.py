"""Keys as the kernels keep them → position by position, for who looks at them from Python."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.cache import BLOCK
from gptcli.engine.kernels.pack import as_float32


def keys_of(keys: NDArray[Any], length: int) -> NDArray[np.float32]:
    """Those of the first `length` positions of a layer, (batch, kv_heads, length, head_dim)."""
    whole = keys[:, :, : -(-length // BLOCK) * BLOCK]
    return as_float32(in_order(whole)[:, :, :length])


def in_order(keys: NDArray[Any]) -> NDArray[Any]:
    """Blocks of 16 positions, laid out as source/cache.h says, position by position: (…, head_dim).

    float32 or uint16, which holds bfloat16.
    """
    *lead, capacity, head_dim = keys.shape
    positions, features = np.arange(capacity)[:, None], np.arange(head_dim)[None]
    lanes = positions % BLOCK
    within = BLOCK * features + lanes
    if keys.dtype != np.float32:
        paired = BLOCK * (features & ~1) + 2 * lanes + features % 2
        within = np.where(features < head_dim // 2 * 2, paired, within)
    at = (positions - lanes) * head_dim + within
    return keys.reshape(*lead, -1)[..., at]
