"""Granite 4 in its dense sizes of attention alone: Granite, with other names for the MLP."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import llama_names
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import granite, phi3
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "Granite 4.0 350M, 1B and Micro (3B), dense; not those with Mamba layers or experts"
OTHER_NAMES = {"layers_block_type": "layer_types"}
_ATTENTION = ("attention", "full_attention")
_MAMBA = ("mamba", "linear_attention")


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' GraniteMoeHybridConfig."""
    base = granite.spec(config)
    kinds = config.words("layer_types", base.layers, (*_ATTENTION, *_MAMBA)) or _MAMBA
    if any(kind in _MAMBA for kind in kinds):
        raise config.bad("layer_types", "has Mamba layers, which gptcli does not support")
    if config.get("num_local_experts") != 0:
        count = config.count("num_local_experts", 8)
        raise config.bad("num_local_experts", f"is {count}: gptcli supports the dense sizes, of 0")
    config.refuse_unless("position_embedding_type", "rope", "nope")
    turned = config.get("position_embedding_type") == "rope"
    return replace(
        base,
        hidden=config.count("shared_intermediate_size", 1024),
        each_layer=tuple(each if turned else replace(each, rope=None) for each in base.each_layer),
        mlp_bias=False,
    )


def rules(spec: ModelSpec) -> Rules:
    """The MLP is what sizes with experts have beside these."""
    mlp = phi3.fused_mlp("shared_mlp.input_linear", "shared_mlp.output_linear")
    return llama_names.rules(spec, mlp=mlp)
