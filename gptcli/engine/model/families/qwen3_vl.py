"""Qwen3-VL: its text model alone, which is Qwen3."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import wrapped
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import llama
from gptcli.engine.model.rope_fields import rope
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.size_fields import alike
from gptcli.engine.model.spec import HeadNorm, LayerSpec, ModelSpec

SUPPORTS = "Qwen3-VL 2B, 4B, 8B and 32B: text only"


def spec(config: ConfigFields) -> ModelSpec:
    """The text model is described in `text_config`."""
    return wrapped.spec(config, text)


def text(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' Qwen3VLTextConfig."""
    config = config.over({"max_position_embeddings": 128000})
    base = llama.spec(config.over({"head_dim": 128}))
    return replace(
        base,
        each_layer=alike(config, LayerSpec(rope(config, base.head_dim, theta=500000.0))),
        mlp_bias=False,
        head_norm=HeadNorm(base.norm, over="head"),
    )


def rules(spec: ModelSpec) -> Rules:
    """Llama's."""
    return wrapped.rules(llama.rules(spec), "visual")
