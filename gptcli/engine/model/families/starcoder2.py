"""StarCoder2: Llama's attention with biases, LayerNorm, and an MLP without a gate."""

from __future__ import annotations

from gptcli.engine.model import llama_names
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.rope_fields import rope
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.size_fields import ACTIVATIONS, alike, sizes
from gptcli.engine.model.spec import LayerSpec, ModelSpec, NormSpec

SUPPORTS = "StarCoder2 3B, 7B and 15B"


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' Starcoder2Config."""
    size = sizes(config, context=4096)
    window = config.optional_count("sliding_window")
    bias = config.flag("use_bias", True)
    return ModelSpec(
        **size,
        each_layer=alike(config, LayerSpec(rope(config, size["head_dim"]), window)),
        norm=NormSpec("layernorm", config.number("norm_epsilon", 1e-5), bias=True),
        activation=config.one_of("hidden_act", ACTIVATIONS, "gelu_pytorch_tanh"),
        gated=False,
        tied=config.flag("tie_word_embeddings", True),
        qkv_bias=bias,
        out_bias=bias,
        mlp_bias=bias,
    )


def rules(spec: ModelSpec) -> Rules:
    """Llama's names, but for the MLP."""
    return llama_names.rules(spec, mlp=llama_names.mlp_rules(spec, up="c_fc", down="c_proj"))
