"""Gemma 2: norms before and after each block, soft-capped scores and logits, every other layer
with a window.
"""

from __future__ import annotations

from typing import Any

from gptcli.engine.model import llama_names
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import gemma
from gptcli.engine.model.rope_fields import rope
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.size_fields import ACTIVATIONS, FULL, SLIDING, by_kind, sizes
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "Gemma 2 in all sizes"
_SIZES = {
    "hidden_size": 2304,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "vocab_size": 256000,
    "max_position_embeddings": 8192,
}


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' Gemma2Config."""
    config = config.over(_SIZES)
    size = sizes(config)
    layers = config.layers("num_hidden_layers")
    kinds = [FULL if i % 2 else SLIDING for i in range(layers)]
    ropes = [rope(config, size["head_dim"])] * layers
    return ModelSpec(
        **size,
        **gemma.common(config, size["width"]),
        **capped(config, 50.0, 30.0),
        each_layer=by_kind(config, window(config), ropes, kinds),
    )


def capped(config: ConfigFields, scores: float | None, logits: float | None) -> dict[str, Any]:
    """What Gemma 2 and 3 share, with their defaults of the soft-caps; null means none."""

    def cap(name: str, default: float | None) -> float | None:
        if config.has(name) and config.get(name) is None:
            return None
        return config.number(name, default) if config.has(name) or default else None

    return {
        "activation": config.one_of("hidden_activation", ACTIVATIONS, "gelu_pytorch_tanh"),
        "attention_scale": config.number("query_pre_attn_scalar", 256) ** -0.5,
        "attention_softcap": cap("attn_logit_softcapping", scores),
        "final_softcap": cap("final_logit_softcapping", logits),
        "norms": "both",
    }


def window(config: ConfigFields) -> int | None:
    """How far the layers with a window see."""
    if config.has("sliding_window") and config.get("sliding_window") is None:
        return None
    return config.count("sliding_window", 4096)


def rules(spec: ModelSpec) -> Rules:
    """The norm after attention has the name that Llama's norm before the MLP has."""
    return llama_names.rules(spec, mlp_norm="pre_feedforward_layernorm")
