"""Granite 4: Granite with Mamba-2 in most layers or none, a mixture beside each MLP or none."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import llama_names, mamba
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.expert_fields import none_or
from gptcli.engine.model.experts import SharedExpert
from gptcli.engine.model.families import granite, granitemoe, mixtral, phi3
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.spec import LayerSpec, ModelSpec

SUPPORTS = "Granite 4.0 in all sizes: 350M, 1B and Micro, their H sizes, H-Tiny and H-Small"
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
    experts, shared = None, config.count("shared_intermediate_size", 1024)
    if none_or(config, "num_local_experts", 8):
        experts = replace(mixtral.experts(config, base.hidden), shared=SharedExpert(shared))
    config.refuse_unless("position_embedding_type", "rope", "nope")
    turned = config.get("position_embedding_type") == "rope"
    attends = base.each_layer[0] if turned else LayerSpec()
    attends, mixes = (replace(each, mixture=experts is not None) for each in (attends, mixes))
    return replace(
        base,
        hidden=shared,
        experts=experts,
        each_layer=tuple(mixes if kind in mamba.MAMBA else attends for kind in kinds),
        mlp_bias=False,
    )


def rules(spec: ModelSpec) -> Rules:
    """The MLP is what sizes with experts have beside these."""
    fused = ("shared_mlp.input_linear", "shared_mlp.output_linear")
    if spec.experts is None:
        mlp = phi3.fused_mlp(*fused)
    else:
        mlp = [*granitemoe.expert_rules(spec.experts), *phi3.fused_mlp(*fused, into="shared.")]
    attention = [*llama_names.attention_rules(spec), *mamba.rules(spec)]
    return llama_names.rules(spec, attention=attention, mlp=mlp)
