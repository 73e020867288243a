"""Arcee: Llama with an MLP that has no gate and bends by the square of ReLU."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import llama
from gptcli.engine.model.size_fields import rms_norm
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "Arcee AFM 4.5B"

rules = llama.rules


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' ArceeConfig."""
    config = config.over({"hidden_act": "relu2", "max_position_embeddings": 4096})
    return replace(llama.spec(config), norm=rms_norm(config, 1e-5), gated=False)
