"""Quantised checkpoints, one file for each published format, as data that need no torch.

A method says how packed weights are stored, `tensors.QuantisedTensors` what a model's tensors then
are, and `coded` what their numbers are. Torch dequantises these (`weights.dequantised`), the CPU
kernels pack their codes: the families know nothing of either.
"""

from __future__ import annotations

from collections.abc import Callable

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.weights.quantised import awq, fp8, gptq, mlx, modelopt
from gptcli.engine.weights.quantised.base import Method
from gptcli.engine.weights.quantised.compressed import Compressed
from gptcli.engine.weights.quantised.compressed_config import scheme
from gptcli.formats import quantization
from gptcli.formats.stored import StoredFiles


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
    "modelopt": modelopt.method,
}


def method_of(config: ConfigFields) -> Method | None:
    """How config.json says the weights are quantised, None where it says nothing.

    Raises ModelError for a method, or a feature of one, that is not supported.
    """
    name = quantization.field(config.get)
    found = None if name is None else config.sub(name)
    if found is None:
        return None
    if quantization.is_mlx(found.get):
        return mlx.method(found)
    read: Callable[[ConfigFields], Method | None]
    read = found.one_of("quant_method", _METHODS, "unknown")
    return read(found)


def method_for(config: ConfigFields, stored: StoredFiles) -> Method | None:
    """The same, where float8 is told by its dtype if config.json says nothing."""
    method = method_of(config)
    if method is None and any(each.kind == "F8_E4M3" for each in stored.tensors.values()):
        return fp8.UNSAID
    return method
