"""Qwen3.5 as it is published, with a vision tower: the text model alone, as qwen3_5_text."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import qwen3_5_text
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "Qwen3.5, Qwen3.6 and Qwen3.8, dense: text only, vision tensors are left out"


def spec(config: ConfigFields) -> ModelSpec:
    """The text model is described in `text_config`."""
    text = config.sub("text_config")
    if text is None:
        raise config.bad("text_config", "is missing")
    return qwen3_5_text.spec(text)


def rules(spec: ModelSpec) -> Rules:
    """The names of the text model behind `model.language_model.`."""
    found = qwen3_5_text.rules(spec)
    ignored = (*found.ignored, r"(model\.)?visual\..*")
    other = (*found.other_prefixes, found.prefix)
    return replace(found, prefix="model.language_model.", other_prefixes=other, ignored=ignored)
