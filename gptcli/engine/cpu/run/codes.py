"""Keys and values as codes: what source/codes.h does, plainly, and back.

Shapes are (batch, kv_heads, positions, features) before, and (batch, kv_heads, capacity, bytes)
as they are kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.cpu.run.key_groups import KEY_GROUP

Floats = NDArray[np.float32]
#: Codes of keys and of values are within ± these.
MOST_KEY, MOST_VALUE = 511, 127
_LEAST = np.float32(1e-30)


def rotated(x: Floats) -> Floats:
    """Each block of features times Hadamard's matrix / √n, which undoes itself.

    A block has as many features as the largest power of two that their number is a multiple of.
    """
    *outer, d = x.shape
    block = d & -d
    half = 1
    while half < block:
        one, other = np.moveaxis(x.reshape(*outer, -1, 2, half), -2, 0)
        x = np.stack((one + other, one - other), axis=-2).reshape(*outer, d)
        half *= 2
    return x * np.float32(1 / np.sqrt(np.float32(block)))


def rounded(x: Floats, most: int) -> Floats:
    """What is left of x where its last axis becomes whole numbers within ±most, and a scale."""
    largest = np.abs(x).max(axis=-1, keepdims=True)
    inverse = np.where(largest > _LEAST, most / np.maximum(largest, _LEAST), 0).astype(np.float32)
    found: Floats = np.rint(x * inverse) * (largest / np.float32(most))
    return found


def rounded_keys(keys: Floats) -> Floats:
    """Keys as queries that are not rotated meet them."""
    return rotated(rounded(rotated(keys), MOST_KEY))


def rounded_values(values: Floats) -> Floats:
    """Values as they are gathered."""
    return rounded(values, MOST_VALUE)


def keys_of_codes(keys: NDArray[np.int8], length: int, features: int) -> Floats:
    """Those of the first `length` positions, not rotated any more."""
    scales, codes, shape = _groups(keys, length)
    padded = -(-features // KEY_GROUP) * KEY_GROUP
    # (…, pairs of features, 16 positions, 2), and (…, fours of such pairs, 16 positions, 2).
    high, low = np.split(codes, [padded * KEY_GROUP], axis=-1)
    high = high.reshape(*shape, -1, KEY_GROUP, 2).swapaxes(-3, -2)
    high = high.reshape(*shape, KEY_GROUP, padded).astype(np.int32)
    four = low.view(np.uint8).reshape(*shape, -1, KEY_GROUP, 2)
    bits = (four[..., None, :] >> np.array([0, 2, 4, 6], np.uint8)[:, None]) & 3
    bits = np.moveaxis(bits, -3, -4)  # (…, 16 positions, fours, pairs, 2)
    whole = (high * 4 + bits.reshape(high.shape)).astype(np.float32) * scales
    return rotated(_positions(whole, length)[..., :features])


def values_of_codes(values: NDArray[np.int8], length: int, features: int) -> Floats:
    """Those of the first `length` positions."""
    scales, codes, shape = _groups(values, length)
    # (…, pairs of positions, features, 2)
    found = codes.reshape(*shape, KEY_GROUP // 2, -1, 2).swapaxes(-2, -1)
    whole = found.reshape(*shape, KEY_GROUP, -1).astype(np.float32) * scales
    return _positions(whole, length)[..., :features]


def _groups(
    kept: NDArray[np.int8], length: int
) -> tuple[Floats, NDArray[np.int8], tuple[int, int, int]]:
    """Scales (batch, kv_heads, groups, 16, 1), codes (the same three, bytes), and these three."""
    batch, heads, _capacity, size = kept.shape
    count = -(-length // KEY_GROUP)
    groups = kept[:, :, : count * KEY_GROUP].reshape(batch, heads, count, KEY_GROUP * size)
    scales, codes = np.split(groups, [KEY_GROUP * 4], axis=-1)
    floats = np.ascontiguousarray(scales).view(np.float32)[..., None]
    return floats, np.ascontiguousarray(codes), (batch, heads, count)


def _positions(groups: Floats, length: int) -> Floats:
    batch, heads, count, group, features = groups.shape
    return groups.reshape(batch, heads, count * group, features)[:, :, :length]


def is_codes(array: NDArray[Any]) -> bool:
    """Whether a layer's keys or values are kept so."""
    return array.dtype == np.int8
