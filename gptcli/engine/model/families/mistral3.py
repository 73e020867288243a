"""Mistral 3 with a vision tower: its text model alone, as mistral or ministral."""

from __future__ import annotations

from gptcli.engine.model import wrapped
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import llama, ministral, ministral3, mistral
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "Mistral Small 3.1 and 3.2, Magistral Small, Ministral 3: text only"
_TEXTS = {"mistral": mistral.spec, "ministral": ministral.spec, "ministral3": ministral3.spec}


def spec(config: ConfigFields) -> ModelSpec:
    """The text model is described in `text_config`."""
    return wrapped.spec(config, _text)


def _text(config: ConfigFields) -> ModelSpec:
    found: ModelSpec = config.one_of("model_type", _TEXTS, "mistral")(config)
    return found


def rules(spec: ModelSpec) -> Rules:
    """Llama's."""
    return wrapped.rules(llama.rules(spec), "vision_tower", "multi_modal_projector")
