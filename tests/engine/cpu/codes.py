"""Random blocks of source/kinds/affine.h and float8.h, and what they stand for."""

from __future__ import annotations

import numpy as np

from gptcli.engine.cpu.binding.abi import Kind

#: Bits, and columns that share a scale and a minimum.
AFFINE = {
    kind: (int(kind.name[6]), int(kind.name.rpartition("_")[2]))
    for kind in Kind
    if kind.name.startswith("AFFINE")
}
KINDS = [*AFFINE, Kind.FLOAT8]


def size_of(kind: Kind) -> int:
    """Columns of a block."""
    return AFFINE[kind][1] if kind in AFFINE else 128


def blocks(kind: Kind, rows: int, columns: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(rows, bytes) of so many columns, and (rows, columns) in float32."""
    random = np.random.default_rng([seed, kind])
    size = size_of(kind)
    shape = rows, columns // size, size
    # Bits that halves would not hold.
    scales = (0.01 * random.uniform(0.1, 1, shape[:2])).astype(np.float32)
    if kind is Kind.FLOAT8:
        codes = random.integers(0, 255, shape, dtype=np.uint8)
        codes[codes & 0x7F == 0x7F] = 0
        numbers = float8(codes) * scales[..., None]
        return _joined(scales[..., None], codes), numbers.reshape(rows, -1)
    codes = random.integers(0, 1 << AFFINE[kind][0], shape, dtype=np.uint8)
    minimums = (-scales * random.uniform(0, 200, shape[:2])).astype(np.float32)
    numbers = codes.astype(np.float32) * scales[..., None] + minimums[..., None]
    heads = np.stack((scales, minimums), axis=-1)
    return _joined(heads, codes), numbers.reshape(rows, -1)


def float8(codes: np.ndarray) -> np.ndarray:
    """A sign, four bits of exponent with bias 7, three of mantissa."""
    exponents, mantissas = codes >> 3 & 15, codes & 7
    normal = (1 + mantissas / 8) * 2.0 ** (exponents.astype(int) - 7)
    sizes = np.where(exponents > 0, normal, mantissas / 8 * 2.0**-6)
    return np.where(codes & 128, -sizes, sizes).astype(np.float32)


def _joined(heads: np.ndarray, codes: np.ndarray) -> np.ndarray:
    bytes_ = np.ascontiguousarray(heads).view(np.uint8)
    return np.concatenate((bytes_, codes), axis=-1).reshape(len(codes), -1)
