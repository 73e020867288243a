"""Keys as source/cache.h lays them out → position by position, for who looks at them in Python."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gptcli.formats.bfloat16 import as_float32

#: Positions that stand together.
KEY_GROUP = 16


def keys_of(keys: NDArray[Any], length: int) -> NDArray[np.float32]:
    """Those of the first `length` positions of a layer, (batch, kv_heads, length, head_dim)."""
    batch, heads, _, d = keys.shape
    count = -(-length // KEY_GROUP)
    groups = keys[:, :, : count * KEY_GROUP].reshape(batch, heads, count, d * KEY_GROUP)
    # In bfloat16, features stand as pairs, and where their number is odd the last one alone.
    paired = d - d % 2 if keys.dtype == np.uint16 else 0
    pairs = groups[..., : paired * KEY_GROUP].reshape(batch, heads, count, -1, KEY_GROUP, 2)
    alone = groups[..., paired * KEY_GROUP :].reshape(batch, heads, count, -1, KEY_GROUP)
    both = (
        pairs.swapaxes(3, 4).reshape(batch, heads, count * KEY_GROUP, paired),
        alone.swapaxes(3, 4).reshape(batch, heads, count * KEY_GROUP, d - paired),
    )
    return as_float32(np.concatenate(both, axis=-1)[:, :, :length])
