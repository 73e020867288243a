"""Bamba: Mamba-2 in most layers, attention with RoPE on half of each head in some."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import llama_names, mamba
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import llama
from gptcli.engine.model.rope_fields import rope
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.spec import LayerSpec, ModelSpec

SUPPORTS = "Bamba 9B"
OTHER_NAMES = {"layer_types": "layers_block_type"}
DEFAULTS = {
    "rms_norm_eps": 1e-5,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 262144,
}


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' BambaConfig."""
    config = config.over(DEFAULTS)
    base = llama.spec(config)
    attends = LayerSpec(rope(config, base.head_dim, partial=0.5))
    inner = config.count("mamba_expand", 2) * base.width
    mixes = LayerSpec(mixer=mamba.recurrence(config, inner, base.norm.eps))
    full = config.indices("attn_layer_indices")
    stated = config.words("layers_block_type", base.layers, (*mamba.ATTENTION, *mamba.MAMBA))
    if stated is not None:
        named = frozenset(i for i, kind in enumerate(stated) if kind in mamba.ATTENTION)
        if config.get("attn_layer_indices") is not None and named != full:
            raise config.bad("attn_layer_indices", "contradicts 'layers_block_type'")
        full = named
    if any(i >= base.layers for i in full):
        raise config.bad("attn_layer_indices", f"goes beyond {base.layers} layers")
    each = tuple(attends if i in full else mixes for i in range(base.layers))
    return replace(base, each_layer=each)


def rules(spec: ModelSpec) -> Rules:
    """Names of its own for some norms and the MLP."""
    return llama_names.rules(
        spec,
        attention=[*llama_names.attention_rules(spec), *mamba.rules(spec)],
        mlp=llama_names.mlp_rules(spec, block="feed_forward"),
        mlp_norm="pre_ff_layernorm",
        final_norm="final_layernorm",
    )
