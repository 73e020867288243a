"""NVIDIA's Model Optimizer: float8 (e4m3) and NVFP4 in the layout that it calls unified.

A module has, for a weight of `out` rows and `in` columns, either

    weight          float8_e4m3 (out, in)
    weight_scale    float32: one for the tensor, or one for each row

with weight = q · scale, or

    weight          uint8 (out, in / 2)         floats of four bits, low bits first
    weight_scale    float8_e4m3 (out, in / 16)
    weight_scale_2  float32 ()

with weight = q · scale · scale 2. input_scale, k_scale and v_scale are not used: activations and
the KV cache stay in full precision. Which of the two a module has is told by its tensors. The
settings are in hf_quant_config.json, or in config.json as `convert_hf_config.py` makes them.
Layout: github.com/NVIDIA/Model-Optimizer, modelopt/torch/export.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from numpy.typing import NDArray

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.weights.quantised.base import QuantisedWeight
from gptcli.engine.weights.quantised.coded import Coded, Nvfp4
from gptcli.engine.weights.quantised.float4 import nvfp4, packed_pairs
from gptcli.engine.weights.quantised.fp8 import fitting, float8
from gptcli.engine.weights.quantised.grid import CHANNEL, TENSOR
from gptcli.formats.stored import StoredTensor
from gptcli.plain import dataclass

_FLOAT8 = ("FP8", "FP8_PER_CHANNEL_PER_TOKEN")
#: They differ in what becomes of the activations.
_FLOAT4 = ("NVFP4", "W4A16_NVFP4", "W4A8_NVFP4_FP8")
_MIXED = "MIXED_PRECISION"
_UNREAD = frozenset({"input_scale", "k_scale", "v_scale"})
#: Of patterns of modules: those that are written are names, or beginnings of names.
_MOST_PATTERNS, _LONGEST_PATTERN = 1 << 14, 256


@dataclass(frozen=True)
class Modelopt:
    """plain: patterns, as a shell has them, of modules that are not quantised."""

    plain: tuple[str, ...]

    parts = frozenset({"weight", "weight_scale", "weight_scale_2", *_UNREAD})
    unread = _UNREAD
    outputs_first = False

    def left_out(self, module: str) -> bool:
        """See Method."""
        return any(fnmatchcase(module, pattern) for pattern in self.plain)

    def is_packed(self, parts: Mapping[str, StoredTensor]) -> bool:
        """See Method."""
        weight = parts.get("weight")
        return weight is None or weight.kind in ("F8_E4M3", "U8") or "weight_scale" in parts

    def weight(self, packed: QuantisedWeight) -> StoredTensor:
        """See Method."""
        core = packed.core("weight", "F8_E4M3", "U8")
        if core.kind == "U8":
            shape = packed_pairs(packed, core, "weight_scale", Nvfp4.group, "F8_E4M3")
            second = packed.parts.get("weight_scale_2")
            one = second.shape if second is not None and second.shape == (1,) else ()
            packed.part("weight_scale_2", one, "F32")
            return packed.weight(core, shape, "F32")
        scale = packed.parts.get("weight_scale")
        grid = TENSOR if scale is None else fitting((TENSOR, CHANNEL), scale, core.shape)
        packed.part("weight_scale", grid.shape(*core.shape) if scale is None else scale.shape)
        return packed.weight(core, (core.shape[0], core.shape[1]), "F32")

    def coded(self, packed: QuantisedWeight, parts: Mapping[str, NDArray[Any]]) -> Coded:
        """See Method."""
        core, scales = parts["weight"], parts["weight_scale"]
        if packed.parts["weight"].kind == "U8":
            factor = parts["weight_scale_2"]
            return nvfp4(packed, core, scales, "weight_scale_2", factor, divided=False)
        stored = packed.parts["weight_scale"]
        grid = fitting((TENSOR, CHANNEL), stored, core.shape)
        return float8(packed, core, "weight_scale", scales, grid)


def method(config: ConfigFields) -> Modelopt:
    """The method that a quantization_config describes. Raises ModelError for what is not known."""
    config.refuse_others(
        "quant_method",
        "quant_algo",
        "kv_cache_quant_algo",
        "kv_cache_scheme",
        "group_size",
        "exclude_modules",
        "ignore",
        "producer",
        "config_groups",
        "quantized_layers",
    )
    config.refuse_unless("group_size", Nvfp4.group)
    known = {name: name for name in (*_FLOAT8, *_FLOAT4, _MIXED)}
    algorithm = config.one_of("quant_algo", known, "unknown")
    if algorithm == _MIXED:
        layers = config.sub("quantized_layers")
        for name in layers.names() if layers is not None else ():
            layer = layers.sub(name) if layers is not None else None
            if layer is not None:
                layer.refuse_others("quant_algo", "group_size")
                layer.refuse_unless("group_size", Nvfp4.group)
                layer.one_of("quant_algo", {each: each for each in (*_FLOAT8, *_FLOAT4)}, "unknown")
    plain = config.texts("exclude_modules") + config.texts("ignore")
    if len(plain) > _MOST_PATTERNS or any(len(each) > _LONGEST_PATTERN for each in plain):
        raise config.bad("exclude_modules", "is longer than any list of modules")
    return Modelopt(plain)
