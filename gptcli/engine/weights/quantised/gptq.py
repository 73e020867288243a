"""GPTQ (arXiv:2210.17323), as AutoGPTQ and GPTQModel store it.

A module has, for a weight of `out` rows and `in` columns:

    qweight  int32 (in · bits / 32, out)      numbers of `bits` bits, packed along the inputs
    qzeros   int32 (groups, out · bits / 32)  zero points, packed along the outputs
    scales   float (groups, out)
    g_idx    int32 (in,)                      the group of each input; absent: input // group_size

weight[o, i] = scales[g, o] · (q[i, o] − zero[g, o]) with g = g_idx[i]. The first version of the
format stores zero points minus one ("gptq"), the second as they are ("gptq_v2").
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.weights.quantised.base import QuantisedWeight
from gptcli.engine.weights.quantised.coded import Affine, AffineRows, Floats
from gptcli.engine.weights.quantised.fields import group_size, in_groups
from gptcli.engine.weights.quantised.packing import unpack
from gptcli.formats.stored import StoredTensor
from gptcli.plain import dataclass

_ZERO_OFFSETS = {"gptq": 1, "gptq_v2": 0}
#: How the numbers were found; what they mean does not depend on it.
_HISTORY = (
    "act_group_aware",
    "backend",
    "batch_size",
    "block_name_to_quantize",
    "cache_block_outputs",
    "damp_auto_increment",
    "damp_percent",
    "dataset",
    "desc_act",
    "exllama_config",
    "hyb_act",
    "lm_head",
    "max_input_length",
    "meta",
    "model_file_base_name",
    "model_name_or_path",
    "model_seqlen",
    "module_name_preceding_first_block",
    "modules_in_block_to_quantize",
    "mse",
    "pad_token_id",
    "quantizer",
    "static_groups",
    "sym",
    "tokenizer",
    "true_sequential",
    "use_cuda_fp16",
    "use_exllama",
)


@dataclass(frozen=True)
class Gptq:
    """bits: 4 or 8; group: inputs that share a scale, None for all; offset: see above."""

    bits: int
    group: int | None
    offset: int

    parts = frozenset({"qweight", "qzeros", "scales", "g_idx"})
    unread: frozenset[str] = frozenset()
    outputs_first = True

    def left_out(self, module: str) -> bool:
        """See Method; this format has no list of such modules."""
        return False

    def is_packed(self, parts: Mapping[str, StoredTensor]) -> bool:
        """See Method."""
        return "qweight" in parts

    def weight(self, packed: QuantisedWeight) -> StoredTensor:
        """See Method."""
        core = packed.core("qweight", "I32")
        each = 32 // self.bits
        inputs, outputs = core.shape[0] * each, core.shape[1]
        groups = -(-inputs // self.group) if self.group else 1
        packed.part("qzeros", (groups, -(-outputs // each)), "I32")
        scales = packed.part("scales", (groups, outputs))
        if "g_idx" in packed.parts:
            packed.part("g_idx", (inputs,), "I32")
        return packed.weight(core, (outputs, inputs), scales.kind)

    def coded(self, packed: QuantisedWeight, parts: Mapping[str, NDArray[Any]]) -> Affine:
        """See Method."""
        words, scales = parts["qweight"], parts["scales"]  # (in / each, out), (groups, out)
        inputs, outputs = len(words) * 32 // self.bits, words.shape[1]

        @cache
        def zeros() -> Floats:
            return unpack(parts["qzeros"], self.bits).astype(np.float32) + np.float32(self.offset)

        def rows(some: slice) -> AffineRows:
            return AffineRows(
                unpack(words[:, some].T, self.bits),
                packed.floats("scales", scales[:, some].T),
                zeros()[:, some].T,
            )

        group = self.group or inputs
        groups = in_groups(packed, "g_idx", parts.get("g_idx"), len(scales), group)
        return Affine((outputs, inputs), self.bits, group, rows, groups)


def method(config: ConfigFields) -> Gptq:
    """The method that a quantization_config describes. Raises ModelError for what is not known."""
    config.refuse_others(
        "quant_method",
        "method",
        "bits",
        "group_size",
        "checkpoint_format",
        "format",
        "pack_dtype",
        *_HISTORY,
    )
    config.refuse_unless("method", "gptq")
    config.refuse_unless("pack_dtype", "int32")
    # The older name of the field wins, as it does for those who wrote both.
    name = "checkpoint_format" if config.get("checkpoint_format") is not None else "format"
    offset = config.one_of(name, _ZERO_OFFSETS, "gptq")
    bits = config.count("bits")
    if bits not in (4, 8):
        raise config.bad("bits", f"is {bits}, and only 4 and 8 are supported")
    return Gptq(bits, group_size(config), offset)
