"""Gemma 4 12B, its text model: as gemma4_text, without what layers are told and without experts."""

from __future__ import annotations

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import gemma4_text
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "Gemma 4 12B, text only as it is"
_DEFAULTS = {"max_position_embeddings": 262144, "sliding_window": 1024}

rules = gemma4_text.rules


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' Gemma4UnifiedTextConfig."""
    return gemma4_text.common(config.over(gemma4_text.SIZES | _DEFAULTS))
