"""Qwen2: Llama with biases on queries, keys and values."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import llama
from gptcli.engine.model.size_fields import FULL, SLIDING, by_kind, window_in_use
from gptcli.engine.model.spec import LayerSpec, ModelSpec

SUPPORTS = "Qwen1.5, Qwen2 and Qwen2.5, also QwQ and DeepSeek's distillations into them"

rules = llama.rules


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' Qwen2Config."""
    base = llama.spec(config)
    return replace(base, each_layer=windowed(config, base), qkv_bias=True, out_bias=False)


def windowed(config: ConfigFields, base: ModelSpec) -> tuple[LayerSpec, ...]:
    """The layers with their windows, which begin at `max_window_layers`."""
    window = window_in_use(config)
    first = 0 if config.get("max_window_layers") == 0 else config.count("max_window_layers", 28)
    kinds = [SLIDING if window and i >= first else FULL for i in range(base.layers)]
    return by_kind(config, window, [each.rope for each in base.each_layer], kinds)
