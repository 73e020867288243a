"""Kimi-K2.5's text side: DeepSeek-V3."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import wrapped
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import deepseek_v3
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "Kimi-K2.5 and K2.6: text only"


def spec(config: ConfigFields) -> ModelSpec:
    """That of `text_config`."""
    return wrapped.spec(config.over({"tie_word_embeddings": True}), deepseek_v3.spec)


def rules(spec: ModelSpec) -> Rules:
    """Its names, and those of what sees images and videos."""
    found = wrapped.rules(deepseek_v3.rules(spec), "vision_tower", "mm_projector")
    # Published, the head stands beside the text model.
    return replace(found, other_prefixes=(*found.other_prefixes, "language_model."))
