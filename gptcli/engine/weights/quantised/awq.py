"""AWQ (arXiv:2306.00978) in the layout that AutoAWQ calls "gemm".

A module has, for a weight of `out` rows and `in` columns, at 4 bits (and at 8, four to a word):

    qweight  int32 (in, out / 8)      8 outputs in each word
    qzeros   int32 (groups, out / 8)  zero points, packed in the same way; absent: all are 8
    scales   float (groups, out)

weight[o, i] = scales[g, o] · (q[i, o] − zero[g, o]) with g = i // group_size. Within a word, from
the lowest bits on, stand the outputs 0, 2, 4, 6, 1, 3, 5, 7; at 8 bits, which vLLM reads
(`awq_to_marlin_zero_points`), 0, 2, 1, 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.weights.quantised.base import QuantisedWeight
from gptcli.engine.weights.quantised.coded import Affine, AffineRows, Codes, Floats
from gptcli.engine.weights.quantised.fields import group_size, is_listed
from gptcli.engine.weights.quantised.packing import unpack, widened
from gptcli.errors import ModelError
from gptcli.formats.stored import StoredTensor
from gptcli.plain import dataclass

#: By the bits of a number, where in a word each of its outputs stands.
_PLACES = {4: [0, 4, 1, 5, 2, 6, 3, 7], 8: [0, 2, 1, 3]}
_HISTORY = (
    "backend",
    "do_fuse",
    "exllama_config",
    "fuse_max_seq_len",
    "model_seqlen",
    "modules_to_fuse",
    "tokenizer",
    "dataset",
)


@dataclass(frozen=True)
class Awq:
    """bits: 4 or 8; group: inputs that share a scale, None for all; plain: see `is_listed`."""

    bits: int
    group: int | None
    zero_point: bool
    plain: frozenset[str]

    parts = frozenset({"qweight", "qzeros", "scales"})
    unread: frozenset[str] = frozenset()
    outputs_first = True

    def left_out(self, module: str) -> bool:
        """See Method."""
        return is_listed(module, self.plain)

    def is_packed(self, parts: Mapping[str, StoredTensor]) -> bool:
        """See Method."""
        return "qweight" in parts

    def weight(self, packed: QuantisedWeight) -> StoredTensor:
        """See Method."""
        core = packed.core("qweight", "I32")
        each = len(_PLACES[self.bits])
        inputs, outputs = core.shape[0], core.shape[1] * each
        group = self.group or inputs
        if inputs % group:
            reason = f"{packed.module} has {inputs} inputs, which groups of {group} do not divide"
            raise ModelError(str(core.file), reason)
        scales = packed.part("scales", (inputs // group, outputs))
        if self.zero_point:
            packed.part("qzeros", (inputs // group, outputs // each), "I32")
        elif "qzeros" in packed.parts:
            reason = f"{packed.module} has zero points, but zero_point is false in config.json"
            raise ModelError(str(core.file), reason)
        return packed.weight(core, (outputs, inputs), scales.kind)

    def coded(self, packed: QuantisedWeight, parts: Mapping[str, NDArray[Any]]) -> Affine:
        """See Method."""
        words, scales = parts["qweight"], parts["scales"]  # (in, out / each), (groups, out)
        (inputs, _), (count, outputs) = words.shape, scales.shape
        each = len(_PLACES[self.bits])

        @cache
        def zeros() -> Floats:
            if not self.zero_point:
                return np.full(scales.shape, 1 << (self.bits - 1), dtype=np.float32)
            return self._ordered(parts["qzeros"]).astype(np.float32)

        def rows(some: slice) -> AffineRows:
            wide, inside = widened(some, each)
            codes = self._ordered(words[:, wide.start // each : wide.stop // each])
            return AffineRows(
                codes[:, inside].T, packed.floats("scales", scales[:, some].T), zeros()[:, some].T
            )

        return Affine((outputs, inputs), self.bits, inputs // count, rows)

    def _ordered(self, words: NDArray[np.int32]) -> Codes:
        """(rows, out / each) of words → (rows, out) of numbers."""
        places = _PLACES[self.bits]
        numbers = unpack(words, self.bits).reshape(len(words), -1, len(places))
        return numbers[:, :, places].reshape(len(words), -1)


def method(config: ConfigFields) -> Awq:
    """The method that a quantization_config describes. Raises ModelError for what is not known."""
    known = ("bits", "group_size", "zero_point", "version", "format", "modules_to_not_convert")
    config.refuse_others("quant_method", *known, *_HISTORY)
    for name in ("version", "format"):
        if config.word(name, "gemm").lower() != "gemm":
            raise config.bad(name, f"is {config.get(name)!r}, and only 'gemm' is supported")
    bits = config.count("bits", 4)
    if bits not in _PLACES:
        raise config.bad("bits", f"is {bits}, and only 4 and 8 are supported")
    return Awq(
        bits,
        group_size(config),
        config.flag("zero_point", True),
        frozenset(config.texts("modules_to_not_convert")),
    )
