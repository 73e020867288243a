"""Mistral: stored and computed as Llama, with attention that may look back only `window` tokens."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import llama
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "Mistral 7B and Nemo, with and without a sliding window"

rules = llama.rules


def spec(config: ConfigFields) -> ModelSpec:
    """`sliding_window` null (version 0.2 and later) means all; absent means 4096, as upstream."""
    unlimited = config.has("sliding_window") and config.get("sliding_window") is None
    window = None if unlimited else config.count("sliding_window", 4096)
    base = llama.spec(config)
    return replace(base, each_layer=tuple(replace(each, window=window) for each in base.each_layer))
