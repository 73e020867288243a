"""Qwen2-VL: its text model alone, which is Qwen2.

Rotary positions of kind mrope are those of time, height and width, which are one in a text.
"""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import wrapped
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import qwen2
from gptcli.engine.model.rope_fields import rope
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.size_fields import rms_norm
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "Qwen2-VL 2B, 7B and 72B, QVQ: text only"


def spec(config: ConfigFields) -> ModelSpec:
    """The text model is described in `text_config`, in published configs beside everything else."""
    return wrapped.spec(config, _text)


def _text(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' Qwen2VLTextConfig."""
    config = config.over({"max_window_layers": 80, "max_position_embeddings": 32768})
    base = qwen2.spec(config)
    turned = rope(config, base.head_dim, theta=1e6)
    layers = tuple(replace(each, rope=turned) for each in base.each_layer)
    return replace(base, each_layer=layers, norm=rms_norm(config, 1e-5))


def rules(spec: ModelSpec) -> Rules:
    """Qwen2's."""
    return wrapped.rules(qwen2.rules(spec), "visual")
