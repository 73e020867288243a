"""Floats of four bits (e2m1) with scales, as several formats store them.

MXFP4: OCP Microscaling Formats 1.0. NVFP4: "Pretraining Large Language Models with NVFP4",
arXiv:2509.25149, section 2.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.weights.quantised.base import QuantisedWeight
from gptcli.engine.weights.quantised.coded import MXFP4_NONE, Codes, Float4Rows, Mxfp4, Nvfp4
from gptcli.engine.weights.quantised.packing import unpack
from gptcli.errors import ModelError
from gptcli.formats.stored import StoredTensor


def packed_pairs(
    packed: QuantisedWeight, core: StoredTensor, scales: str, group: int, *kinds: str
) -> tuple[int, int]:
    """Outputs and inputs of numbers that are packed in bytes or words, with a scale each `group`.

    Raises ModelError where groups are not whole, or the scales are of another shape or kind.
    """
    each = 8 if core.kind == "U32" else 2
    rows, columns = core.shape[0], core.shape[1] * each
    if columns % group:
        reason = f"{packed.module} has {columns} inputs, which groups of {group} do not divide"
        raise ModelError(str(core.file), reason)
    packed.part(scales, (rows, columns // group), *kinds)
    return rows, columns


def nvfp4(
    packed: QuantisedWeight,
    pairs: NDArray[Any],
    scales: Codes,
    name: str,
    factor: NDArray[Any],
    *,
    divided: bool = True,
    of_scales: str = "weight_scale",
) -> Nvfp4:
    """A weight of (out, in / 2) bytes or as many in words, and (out, in / 16) codes of e4m3.

    name: the part that `factor`, one number, is from; see Nvfp4 for `divided`. of_scales: that of
    the scales.
    """
    (one,) = packed.floats(name, factor.reshape(1))
    if divided and one == 0:
        raise packed.not_finite(name)

    def rows(some: slice) -> Float4Rows:
        return Float4Rows(unpack(pairs[some], 4), packed.float8(of_scales, scales[some]))

    return Nvfp4((len(scales), scales.shape[1] * Nvfp4.group), np.float32(one), divided, rows)


def mxfp4(
    packed: QuantisedWeight, pairs: NDArray[Any], exponents: Codes, name: str = "weight_scale"
) -> Mxfp4:
    """A weight of (out, in / 2) bytes or as many in words, and (out, in / 32) exponents."""

    def rows(some: slice) -> Float4Rows:
        found = exponents[some]
        if (found == MXFP4_NONE).any():
            raise packed.not_finite(name)
        return Float4Rows(unpack(pairs[some], 4), found)

    return Mxfp4((len(exponents), exponents.shape[1] * Mxfp4.group), rows)
