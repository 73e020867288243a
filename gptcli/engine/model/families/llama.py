"""Llama: RoPE, RMSNorm, a gated MLP, grouped-query attention, optional biases.

SmolLM2, TinyLlama, Llama 2 and 3 and many others are stored as this family.
"""

from __future__ import annotations

from gptcli.engine.model import llama_names
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.rope_fields import rope
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.size_fields import ACTIVATIONS, alike, rms_norm, sizes
from gptcli.engine.model.spec import LayerSpec, ModelSpec

SUPPORTS = "Llama 1, 2 and 3, SmolLM2, TinyLlama, and all that is stored as Llama"


def spec(config: ConfigFields, layers: tuple[LayerSpec, ...] | None = None) -> ModelSpec:
    """Field names and defaults are those of transformers' LlamaConfig.

    layers: of a family where they are not alike, or turn in another way.
    """
    size = sizes(config)
    attention_bias = config.flag("attention_bias", False)
    return ModelSpec(
        **size,
        each_layer=layers or alike(config, LayerSpec(rope(config, size["head_dim"]))),
        norm=rms_norm(config),
        activation=config.one_of("hidden_act", ACTIVATIONS, "silu"),
        gated=True,
        tied=config.flag("tie_word_embeddings", False),
        qkv_bias=attention_bias,
        out_bias=attention_bias,
        mlp_bias=config.flag("mlp_bias", False),
    )


def rules(spec: ModelSpec) -> Rules:
    """Every projection is stored by itself, as (out, in)."""
    return llama_names.rules(spec)
