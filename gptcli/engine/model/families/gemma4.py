"""Gemma 4 as it is published, with what sees and hears: the text model alone, as gemma4_text."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import wrapped
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import gemma4_text
from gptcli.engine.model.rules import Beside, Rules
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "Gemma 4 E2B, E4B, 26B-A4B and 31B: text only, what sees and hears is left out"
#: What hears, in all that do.
HEARING = Beside("what hears", r"(audio_tower|embed_audio)\..*")


def spec(config: ConfigFields) -> ModelSpec:
    """The text model is described in `text_config`."""
    return wrapped.spec(config, gemma4_text.spec)


def rules(spec: ModelSpec) -> Rules:
    """See wrapped.rules."""
    found = wrapped.rules(gemma4_text.rules(spec), "vision_tower", "embed_vision")
    return replace(found, beside=(*found.beside, HEARING))
