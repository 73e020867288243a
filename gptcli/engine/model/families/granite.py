"""Granite: Llama with multipliers of the embedding, the scores, the updates and the logits."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import llama
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "Granite 3.0 to 3.3, dense"

rules = llama.rules


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' GraniteConfig."""
    return replace(
        llama.spec(config),
        embedding_scale=config.number("embedding_multiplier", 1.0),
        attention_scale=config.number("attention_multiplier", 1.0),
        residual_scale=config.number("residual_multiplier", 1.0),
        logit_scale=1 / config.number("logits_scaling", 1.0),
    )
