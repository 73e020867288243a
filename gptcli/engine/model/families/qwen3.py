"""Qwen3: Qwen2 without those biases, with an RMSNorm on each query and key head."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import llama, qwen2
from gptcli.engine.model.spec import HeadNorm, ModelSpec

SUPPORTS = "Qwen3, dense, in all sizes"

rules = llama.rules


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' Qwen3Config."""
    base = llama.spec(config.over({"head_dim": 128}))
    return replace(
        base,
        each_layer=qwen2.windowed(config, base),
        head_norm=HeadNorm(base.norm, over="head"),
    )
