"""Gemma 3 with a vision tower: the text model alone, as gemma3_text."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import gemma3_text
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "Gemma 3 4B, 12B, 27B and MedGemma: text only, vision tensors are left out"


def spec(config: ConfigFields) -> ModelSpec:
    """The text model is described in `text_config`."""
    text = config.sub("text_config")
    if text is None:
        raise config.bad("text_config", "is missing")
    return gemma3_text.spec(text.renamed(gemma3_text.OTHER_NAMES))


def rules(spec: ModelSpec) -> Rules:
    """Newer checkpoints put `model.language_model.`, older ones `language_model.model.` before."""
    found = gemma3_text.rules(spec)
    prefixes = (*found.other_prefixes, found.prefix)
    return replace(found, prefix="model.language_model.", other_prefixes=prefixes)
