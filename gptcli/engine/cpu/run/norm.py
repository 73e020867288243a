"""A norm in numpy, for what is looked at outside of the kernels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.model.spec import NormSpec

Floats = NDArray[np.float32]


def normed(streams: Floats, norm: NormSpec, weight: Floats | None, bias: Floats | None) -> Floats:
    """Rows (n, width) as the norm makes them.

    weight: as it multiplies, what a checkpoint leaves out of it added.
    """
    if norm.kind == "layernorm":
        streams = streams - streams.mean(-1, keepdims=True)
    size = np.sqrt((streams * streams).mean(-1, keepdims=True) + np.float32(norm.eps))
    found: Floats = streams / size if weight is None else streams / size * weight
    return found if bias is None else found + bias
