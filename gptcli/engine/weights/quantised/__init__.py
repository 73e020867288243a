"""Quantised checkpoints, one file for each published format, all behind `TensorSource`.

Weights are dequantised as they are read. Layers that compute with packed weights can take these
from `PackedSource.packed`: the families know nothing of either.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.rules import Rule
from gptcli.engine.weights.checkpoint import Checkpoint, TensorSource
from gptcli.engine.weights.quantised import awq, fp8, gptq
from gptcli.engine.weights.quantised.base import Method, PackedSource
from gptcli.engine.weights.quantised.compressed import Compressed
from gptcli.engine.weights.quantised.compressed_config import scheme


def _compressed(config: ConfigFields) -> Method:
    return Compressed(scheme(config))


def _mxfp4(config: ConfigFields) -> None:
    """Families that are published in this form have rules for it."""
    config.refuse_others("quant_method", "modules_to_not_convert", "dequantize")


_METHODS: dict[str, Callable[[ConfigFields], Method | None]] = {
    "gptq": gptq.method,
    "awq": awq.method,
    "compressed-tensors": _compressed,
    "fp8": fp8.method,
    "fbgemm_fp8": fp8.method,
    "mxfp4": _mxfp4,
}


def method_of(config: ConfigFields) -> Method | None:
    """How config.json says the weights are quantised, None where it says nothing.

    Raises ModelError for a method, or a feature of one, that is not supported.
    """
    for name in ("quantization_config", "compression_config"):
        found = config.sub(name)
        if found is not None:
            read: Callable[[ConfigFields], Method | None]
            read = found.one_of("quant_method", _METHODS, "unknown")
            return read(found)
    return None


def opened(
    checkpoint: Checkpoint, method: Method | None, rule_of: Callable[[str], Rule | None]
) -> TensorSource:
    """The tensors of a checkpoint, dequantised where they are packed.

    float8 is told by its dtype, where config.json says nothing. Raises ModelError for packed
    weights that are not whole.
    """
    if method is None:
        kinds = {stored.dtype for stored in checkpoint.tensors.values()}
        if torch.float8_e4m3fn not in kinds:
            return checkpoint
        method = fp8.UNSAID
    return PackedSource(checkpoint, method, rule_of)
