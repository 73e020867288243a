"""ERNIE 4.5, dense: Llama with RoPE that turns neighbours, and biases everywhere or nowhere."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import llama
from gptcli.engine.model.rope_fields import rope
from gptcli.engine.model.size_fields import alike, rms_norm
from gptcli.engine.model.spec import LayerSpec, ModelSpec

SUPPORTS = "ERNIE 4.5 0.3B, dense"

rules = llama.rules


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' Ernie4_5Config."""
    config = config.over({"head_dim": 128, "max_position_embeddings": 131072})
    base = llama.spec(config)
    turned = rope(config, base.head_dim, theta=500000.0, interleaved=True)
    bias = config.flag("use_bias", False)
    return replace(
        base,
        each_layer=alike(config, LayerSpec(turned)),
        norm=rms_norm(config, 1e-5),
        tied=config.flag("tie_word_embeddings", True),
        qkv_bias=bias,
        out_bias=bias,
        mlp_bias=bias,
    )
