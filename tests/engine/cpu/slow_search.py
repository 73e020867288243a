"""The slow, obvious way to find a block's scale, and minimum: all of a fine grid are tried."""

from __future__ import annotations

import numpy as np

from gptcli.engine.cpu.binding.abi import Form

#: The levels of IQ4_NL, as the gguf package has them.
UNEVEN = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113])
LEVELS = {
    Form.Q4_0: np.arange(-8, 8),
    Form.Q5_0: np.arange(-16, 16),
    Form.Q8_0: np.arange(-128, 128),
    Form.IQ4_NL: UNEVEN,
}
MOST = {Form.Q4_1: 15, Form.Q5_1: 31, Form.Q4_K: 15, Form.Q5_K: 31}
_TRIED = 160


def errors(x: np.ndarray, weights: np.ndarray, form: Form) -> np.ndarray:
    """(groups, 32) → the least weighted square error of each, (groups,); weights: (32,).

    Of forms with a minimum that many groups share: what it would be if each had one of its own.
    """
    x = x.astype(np.float64)
    return _with_minimum(x, weights, form) if form in MOST else _without(x, weights, LEVELS[form])


def _without(x: np.ndarray, weights: np.ndarray, levels: np.ndarray) -> np.ndarray:
    furthest = np.abs(x).max(1)
    best = np.full(len(x), np.inf)
    for part in np.linspace(0.75, 1.4, _TRIED):
        for sign in (-1, 1):
            scale = (sign * part * furthest / np.abs(levels).max())[:, None]
            best = np.minimum(best, _left(x, weights, scale * _nearest(x / scale, levels)))
    return best


def _with_minimum(x: np.ndarray, weights: np.ndarray, form: Form) -> np.ndarray:
    low, high = x.min(1), x.max(1)
    if form in (Form.Q4_K, Form.Q5_K):  # whose minimums are not above 0
        low = np.minimum(low, 0)
    span, most = high - low, MOST[form]
    best = np.full(len(x), np.inf)
    for share in np.linspace(-0.05, 0.3, _TRIED // 4):
        minimum = (low + share * span)[:, None]
        for part in np.linspace(0.6, 1.1, _TRIED // 2):
            scale = (part * span / most)[:, None]
            levels = np.clip(np.rint((x - minimum) / scale), 0, most)
            best = np.minimum(best, _left(x, weights, minimum + scale * levels))
    return best


def _nearest(x: np.ndarray, levels: np.ndarray) -> np.ndarray:
    borders = (levels[1:] + levels[:-1]) / 2
    return levels[np.searchsorted(borders, x)]


def _left(x: np.ndarray, weights: np.ndarray, found: np.ndarray) -> np.ndarray:
    return (x - found) ** 2 @ weights
