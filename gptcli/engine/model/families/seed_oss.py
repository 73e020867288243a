"""Seed-OSS: Llama with biases of queries, keys and values."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import llama
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "Seed-OSS 36B"

rules = llama.rules


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' SeedOssConfig."""
    config = config.over({"head_dim": 128, "max_position_embeddings": 524288})
    return replace(
        llama.spec(config),
        qkv_bias=config.flag("attention_bias", True),
        out_bias=config.flag("attention_out_bias", False),
    )
