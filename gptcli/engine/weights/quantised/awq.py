"""AWQ (arXiv:2306.00978) in the layout that AutoAWQ calls "gemm".

A module has, for a weight of `out` rows and `in` columns, at 4 bits:

    qweight  int32 (in, out / 8)      8 outputs in each word
    qzeros   int32 (groups, out / 8)  zero points, packed in the same way; absent: all are 8
    scales   float (groups, out)

weight[o, i] = scales[g, o] · (q[i, o] − zero[g, o]) with g = i // group_size. Within a word, from
the lowest bits on, stand the outputs 0, 2, 4, 6, 1, 3, 5, 7.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.weights.checkpoint import SourceTensor
from gptcli.engine.weights.quantised.base import QuantisedWeight
from gptcli.engine.weights.quantised.fields import group_size, is_listed
from gptcli.engine.weights.quantised.packing import scaled, unpack
from gptcli.errors import ModelError

_BITS, _EACH = 4, 8
#: Where in a word each of its eight outputs stands.
_PLACES = [0, 4, 1, 5, 2, 6, 3, 7]
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
    """group: inputs that share a scale, None for all; plain: modules that are not quantised."""

    group: int | None
    zero_point: bool
    plain: frozenset[str]

    parts = frozenset({"qweight", "qzeros", "scales"})
    unread: frozenset[str] = frozenset()

    def left_out(self, module: str) -> bool:
        """See Method."""
        return is_listed(module, self.plain)

    def is_packed(self, parts: Mapping[str, SourceTensor]) -> bool:
        """See Method."""
        return "qweight" in parts

    def weight(self, packed: QuantisedWeight) -> SourceTensor:
        """See Method."""
        core = packed.core("qweight", torch.int32)
        inputs, outputs = core.shape[0], core.shape[1] * _EACH
        group = self.group or inputs
        if inputs % group:
            reason = f"{packed.module} has {inputs} inputs, which groups of {group} do not divide"
            raise ModelError(str(core.file), reason)
        scales = packed.part("scales", (inputs // group, outputs))
        if self.zero_point:
            packed.part("qzeros", (inputs // group, outputs // _EACH), torch.int32)
        elif "qzeros" in packed.parts:
            reason = f"{packed.module} has zero points, but zero_point is false in config.json"
            raise ModelError(str(core.file), reason)
        shape = packed.oriented((inputs, outputs))
        return SourceTensor(f"{packed.module}.weight", core.file, shape, scales.dtype)

    def dequantise(self, packed: QuantisedWeight, parts: Mapping[str, Tensor]) -> Tensor:
        """See Method. Computed in the dtype of the scales."""
        words, scales = parts["qweight"], parts["scales"]  # (in, out / 8), (groups, out)
        middle = torch.full(scales.shape, 8, dtype=torch.int32)
        zeros = _ordered(parts["qzeros"]) if self.zero_point else middle
        groups = torch.arange(len(words)) // (len(words) // len(scales))
        weight = scaled(lambda rows: _ordered(words[rows]), zeros, scales, groups, 1)
        return weight if packed.transpose else weight.t()


def _ordered(words: Tensor) -> Tensor:
    """(rows, out / 8) of words → (rows, out) of numbers."""
    numbers: Tensor = unpack(words, _BITS, 1).unflatten(1, (-1, _EACH))
    return numbers[:, :, _PLACES].flatten(1)


def method(config: ConfigFields) -> Awq:
    """The method that a quantization_config describes. Raises ModelError for what is not known."""
    known = ("bits", "group_size", "zero_point", "version", "format", "modules_to_not_convert")
    config.refuse_others("quant_method", *known, *_HISTORY)
    for name in ("version", "format"):
        if config.word(name, "gemm").lower() != "gemm":
            raise config.bad(name, f"is {config.get(name)!r}, and only 'gemm' is supported")
    if config.count("bits", _BITS) != _BITS:
        raise config.bad("bits", f"is {config.get('bits')}, and only {_BITS} is supported")
    return Awq(
        group_size(config),
        config.flag("zero_point", True),
        frozenset(config.texts("modules_to_not_convert")),
    )
