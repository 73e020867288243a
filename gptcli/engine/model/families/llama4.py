"""Llama 4 with its vision model: its text model alone."""

from __future__ import annotations

from gptcli.engine.model import wrapped
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import llama4_text
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "Llama 4 Scout and Maverick: text only"


def spec(config: ConfigFields) -> ModelSpec:
    """The text model is described in `text_config`."""
    return wrapped.spec(config, llama4_text.spec)


def rules(spec: ModelSpec) -> Rules:
    """Those of the text model."""
    return wrapped.rules(llama4_text.rules(spec), "vision_model", "multi_modal_projector")
