"""Qwen3.5 MoE as it is published, with what sees images: the text model alone."""

from __future__ import annotations

from gptcli.engine.model import wrapped
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import qwen3_5_moe_text
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "Qwen3.5-35B-A3B to 397B-A17B, Qwen3.6-35B-A3B: text only"


def spec(config: ConfigFields) -> ModelSpec:
    """The text model is described in `text_config`."""
    return wrapped.spec(config, qwen3_5_moe_text.spec)


def rules(spec: ModelSpec) -> Rules:
    """The names of the text model."""
    return wrapped.rules(qwen3_5_moe_text.rules(spec), "visual")
