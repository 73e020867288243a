"""Granite 4, dense: Granite with Mamba-2 in most layers or none, and other names for the MLP."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import llama_names, mamba
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import granite, phi3
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.spec import LayerSpec, ModelSpec

SUPPORTS = "Granite 4.0 350M, 1B, Micro and their H sizes, dense; not those with experts"
OTHER_NAMES = {"layers_block_type": "layer_types"}


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' GraniteMoeHybridConfig."""
    base = granite.spec(config)
    known = (*mamba.ATTENTION, *mamba.MAMBA)
    kinds = config.words("layer_types", base.layers, known) or mamba.MAMBA[:1] * base.layers
    mixes = LayerSpec()
    if any(kind in mamba.MAMBA for kind in kinds):
        inner = config.count("mamba_expand", 2) * base.width
        mixes = LayerSpec(mixer=mamba.recurrence(config, inner, base.norm.eps))
    if config.get("num_local_experts") != 0:
        count = config.count("num_local_experts", 8)
        raise config.bad("num_local_experts", f"is {count}: gptcli supports the dense sizes, of 0")
    config.refuse_unless("position_embedding_type", "rope", "nope")
    turned = config.get("position_embedding_type") == "rope"
    attends = base.each_layer[0] if turned else LayerSpec()
    return replace(
        base,
        hidden=config.count("shared_intermediate_size", 1024),
        each_layer=tuple(mixes if kind in mamba.MAMBA else attends for kind in kinds),
        mlp_bias=False,
    )


def rules(spec: ModelSpec) -> Rules:
    """The MLP is what sizes with experts have beside these."""
    mlp = phi3.fused_mlp("shared_mlp.input_linear", "shared_mlp.output_linear")
    attention = [*llama_names.attention_rules(spec), *mamba.rules(spec)]
    return llama_names.rules(spec, attention=attention, mlp=mlp)
