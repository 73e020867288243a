"""What numpy calls keys and values, and what a user does."""

from __future__ import annotations

from typing import Any

import numpy as np

#: What numpy calls keys and values where weights are floats; bfloat16 is held as uint16.
_OWN = {"float32": "float32", "float16": "float32", "bfloat16": "uint16"}


def cache_dtype(name: str, wanted: str = "auto") -> np.dtype[Any]:
    """What a model keeps keys and values in, by what its dtype is called, and by --kv-dtype.

    Where nothing is wanted, float32 where the weights are float32 or float16, bfloat16 where they
    are, as torch does. Beside quantised weights float16: of two bytes it rounds eight times as
    finely as bfloat16, which would be most of what is rounded there.
    """
    if wanted != "auto":
        return np.dtype("uint16" if wanted == "bfloat16" else wanted)
    return np.dtype(_OWN.get(name, "float16"))


def said(name: str, kept: np.dtype[Any]) -> str | None:
    """What to call that dtype of keys and values, None where it is the own one of a dtype."""
    if kept == cache_dtype(name):
        return None
    return "bfloat16" if kept == np.uint16 else kept.name
