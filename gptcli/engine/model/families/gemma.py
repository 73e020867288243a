"""Gemma: a scaled embedding, norms that store what is added to 1, a gated tanh GELU."""

from __future__ import annotations

from typing import Any

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import llama
from gptcli.engine.model.rope_fields import rope
from gptcli.engine.model.size_fields import ACTIVATIONS, alike, sizes
from gptcli.engine.model.spec import LayerSpec, ModelSpec, NormSpec

SUPPORTS = "Gemma 1 and CodeGemma"
_SIZES = {
    "hidden_size": 3072,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "head_dim": 256,
    "intermediate_size": 24576,
    "num_hidden_layers": 28,
    "vocab_size": 256000,
    "max_position_embeddings": 8192,
}

rules = llama.rules


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' GemmaConfig.

    `gelu` in the first published configs means the tanh form.
    """
    config = config.over(_SIZES)
    size = sizes(config)
    name = "hidden_act" if config.get("hidden_activation") is None else "hidden_activation"
    known = ACTIVATIONS | {"gelu": "gelu_tanh"}
    return ModelSpec(
        **size,
        **common(config, size["width"]),
        each_layer=alike(config, LayerSpec(rope(config, size["head_dim"]))),
        activation=config.one_of(name, known, "gelu_pytorch_tanh"),
    )


def common(config: ConfigFields, width: int) -> dict[str, Any]:
    """What Gemma 1, 2 and 3 share."""
    config.refuse_unless("use_bidirectional_attention", False)
    bias = config.flag("attention_bias", False)
    return {
        "norm": NormSpec("rmsnorm", config.number("rms_norm_eps", 1e-6), offset=True),
        "gated": True,
        "tied": config.flag("tie_word_embeddings", True),
        "qkv_bias": bias,
        "out_bias": bias,
        "embedding_scale": width**0.5,
    }
