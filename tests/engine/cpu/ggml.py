"""Random blocks of ggml's types, with scales that are numbers of a usual size."""

from __future__ import annotations

import gguf
import numpy as np

from gptcli.engine.cpu.binding.abi import Kind

#: Where halves stand in a block, see ggml-common.h.
_HALVES = {
    **dict.fromkeys(("Q8_0", "Q4_0", "Q5_0", "IQ4_NL", "IQ4_XS"), (0,)),
    **dict.fromkeys(("Q4_1", "Q5_1", "Q4_K", "Q5_K"), (0, 2)),
    "Q2_K": (80, 82),
    "Q3_K": (108,),
    "Q6_K": (208,),
    "MXFP4": (),
    "NVFP4": (),
}


def blocks(kind: Kind, rows: int, columns: int, seed: int = 0, size: float = 0.01) -> np.ndarray:
    """(rows, bytes) of so many columns. size: of the scales."""
    random = np.random.default_rng([seed, kind])
    numbers, bytes_ = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind.name]]
    raw = random.integers(0, 256, (rows, columns // numbers, bytes_), dtype=np.uint8)
    for at in _HALVES[kind.name]:
        halves = (size * random.uniform(0.1, 1, raw.shape[:2])).astype(np.float16)
        raw[..., at : at + 2] = halves[..., None].view(np.uint8)
    if kind is Kind.MXFP4:
        raw[..., 0] = random.integers(115, 125, raw.shape[:2])
    if kind is Kind.NVFP4:
        raw[..., :4] = random.integers(0, 0x7F, (*raw.shape[:2], 4))
    return raw.reshape(rows, -1)
