"""What the rows of a matrix have most in common: the first principal direction."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_Doubles = NDArray[np.float64]


def principal(rows: Callable[[], Iterator[Floats]], count: int) -> _Doubles:
    """The direction along which rows (n, width) are longest, of length 1, towards their sum.

    rows: gives them, some at a time, as often as it is called; count: how many there are. Their
    mean is not taken away: what differences of pairs have in common is in it. Zeros where all rows
    are zeros.
    """
    width = next(rows()).shape[-1]
    if count <= width:
        # As few as they are, the matrix of their products is the smaller one.
        whole = np.concatenate(list(rows())).astype(np.float64)
        found = whole.T @ _first(whole @ whole.T)
    else:
        square = np.zeros((width, width))
        for part in rows():
            exact = part.astype(np.float64)
            square += exact.T @ exact
        found = _first(square)
    total = np.zeros(width)
    for part in rows():
        total += part.sum(0, dtype=np.float64)
    length = np.linalg.norm(found)
    if not length:
        return found
    return np.asarray(found / length * (1.0 if total @ found >= 0 else -1.0))


def _first(square: _Doubles) -> _Doubles:
    """The eigenvector of the largest eigenvalue of a symmetric matrix; zeros of one of zeros."""
    if not square.any():
        return np.zeros(len(square))
    found: _Doubles = np.linalg.eigh(square)[1][:, -1]
    return found
