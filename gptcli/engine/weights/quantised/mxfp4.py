"""MXFP4 (OCP Microscaling Formats 1.0) as gpt-oss stores it.

`blocks` (…, out, in / 32, 16) bytes, each with two floats of four bits, the one in the low bits
first; `scales` (…, out, in / 32) bytes, an exponent of two plus 127 for 32 numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

from gptcli.engine.weights.matching import UnreadTensor
from gptcli.engine.weights.quantised.coded import MXFP4_NONE, Codes, Float4Rows, Mxfp4
from gptcli.engine.weights.quantised.packing import unpack
from gptcli.errors import ModelError


def weight(stored: Sequence[UnreadTensor], blocks: Codes, scales: Codes) -> Mxfp4:
    """The weight of (out, in / 32, 16) and (out, in / 32), which `stored` names.

    Its rows raise ModelError for a scale that is no number.
    """
    outputs, count, size = blocks.shape
    pairs = blocks.reshape(outputs, count * size)

    def rows(some: slice) -> Float4Rows:
        found = scales[some]
        if (found == MXFP4_NONE).any():
            reason = f"tensor {stored[1].name} holds what is no finite number"
            raise ModelError(str(stored[1].file), reason)
        return Float4Rows(unpack(pairs[some], 4), found)

    return Mxfp4((outputs, 2 * count * size), rows)
