"""Ministral: Mistral with a window in some layers or all, as `layer_types` says."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import gemma2, llama
from gptcli.engine.model.size_fields import FULL, SLIDING, by_kind
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "Ministral 8B (2410)"

rules = llama.rules


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' MinistralConfig."""
    base = llama.spec(config.over({"max_position_embeddings": 131072}))
    window = gemma2.window(config)
    kinds = [FULL if window is None else SLIDING] * base.layers
    layers = by_kind(config, window, [each.rope for each in base.each_layer], kinds)
    return replace(base, each_layer=layers, qkv_bias=False, out_bias=False, mlp_bias=False)
