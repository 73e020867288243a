"""Phi: RoPE on part of each head, blocks side by side after one norm, biases everywhere."""

from __future__ import annotations

from gptcli.engine.model import llama_names
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.rope_fields import rope
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.size_fields import ACTIVATIONS, alike, sizes
from gptcli.engine.model.spec import HeadNorm, LayerSpec, ModelSpec, NormSpec

SUPPORTS = "Phi-1, Phi-1.5 and Phi-2"


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' PhiConfig."""
    size = sizes(config)
    norm = NormSpec("layernorm", config.number("layer_norm_eps", 1e-5), bias=True)
    return ModelSpec(
        **size,
        each_layer=alike(config, LayerSpec(rope(config, size["head_dim"], partial=0.5))),
        norm=norm,
        activation=config.one_of("hidden_act", ACTIVATIONS, "gelu_new"),
        gated=False,
        tied=config.flag("tie_word_embeddings", False),
        qkv_bias=True,
        out_bias=True,
        mlp_bias=True,
        head_bias=True,
        head_norm=HeadNorm(norm, "head") if config.flag("qk_layernorm", False) else None,
        blocks="parallel_one_norm",
    )


def rules(spec: ModelSpec) -> Rules:
    """Llama's names, but for the MLP, the projection out and the last norm."""
    up, down = "fc1", "fc2"
    return llama_names.rules(
        spec,
        attention=llama_names.attention_rules(spec, out="dense"),
        mlp=llama_names.mlp_rules(spec, up=up, down=down),
        head_norms=llama_names.head_norm_rules(spec, "q_layernorm", "k_layernorm"),
        final_norm="final_layernorm",
    )
