"""Gemma 4 12B as it is published, which sees and hears by itself: the text model alone."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import wrapped
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import gemma4, gemma4_unified_text
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "Gemma 4 12B: text only, what sees and hears is left out"


def spec(config: ConfigFields) -> ModelSpec:
    """The text model is described in `text_config`."""
    return wrapped.spec(config, gemma4_unified_text.spec)


def rules(spec: ModelSpec) -> Rules:
    """See wrapped.rules."""
    found = wrapped.rules(gemma4_unified_text.rules(spec), "vision_embedder", "embed_vision")
    return replace(found, beside=(*found.beside, gemma4.HEARING))
