"""What the kernels compute, slowly and obviously, in numpy."""

from __future__ import annotations

import gguf
import numpy as np

from gptcli.engine.cpu.binding.abi import FLOATS, Kind, Met
from gptcli.engine.cpu.binding.library import open_library
from gptcli.engine.cpu.packing.quantise import quantise

GROUP = 32


def padded(x: np.ndarray) -> np.ndarray:
    """Columns padded with zeros to whole groups, (…, groups, 32)."""
    missing = -x.shape[-1] % GROUP
    x = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, missing)])
    return x.reshape(*x.shape[:-1], -1, GROUP)


def stored(weights: np.ndarray, kind: str) -> np.ndarray:
    """What the numbers become when they are stored as such a kind, float64."""
    if Kind[kind] not in FLOATS:
        # Which numbers those are has tests of its own.
        blocks = quantise(weights.astype(np.float32), Kind[kind], open_library("portable")).rows
        numbers = gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType[kind])
        return numbers[:, : weights.shape[1]].astype(np.float64)
    if kind == "FLOAT16":
        return weights.astype(np.float16).astype(np.float64)
    if kind == "BFLOAT16":
        bits = weights.astype(np.float32).view(np.uint32)
        bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
        return bits.view(np.float32).astype(np.float64)
    return weights.astype(np.float64)


def rounded_activations(x: np.ndarray, met: Met = Met.INT8) -> np.ndarray:
    """Activations as numbers of 8 or 16 bits times a scale for each 32, float64."""
    if met is Met.FLOAT32:
        return x.astype(np.float64)
    most = 127 if met is Met.INT8 else 32767
    groups = padded(x.astype(np.float32))
    largest = np.abs(groups).max(-1, keepdims=True)
    inverse = np.divide(most, largest, out=np.zeros_like(largest), where=largest > 0)
    whole = np.rint(groups * inverse).astype(np.float64)
    out = whole * (largest / np.float32(most)).astype(np.float64)
    return out.reshape(*x.shape[:-1], -1)[..., : x.shape[-1]]


def met_by(x: np.ndarray, kind: str, instructions: str, met: Met) -> np.ndarray:
    """Activations as weights of a kind meet them, float64; met: those of 8 and fewer bits."""
    if Kind[kind] not in FLOATS and Kind[kind] is not Kind.FLOAT8:
        return rounded_activations(x, met)
    if kind == "BFLOAT16" and instructions == "avx512bf16" and met is not Met.FLOAT32:
        return stored(x, kind)
    return x.astype(np.float64)


def product(
    x: np.ndarray, weights: np.ndarray, kind: str, instructions: str, met: Met
) -> np.ndarray:
    """x @ weights.T with the weights stored as `kind`, (count, rows), float64."""
    return met_by(x, kind, instructions, met) @ stored(weights, kind).T
