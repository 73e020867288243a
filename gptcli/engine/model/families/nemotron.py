"""Nemotron 3 and 4 and Minitron: LayerNorm whose stored weight is added to 1, RoPE on half of
each head, and an MLP without a gate that bends by the square of ReLU.
"""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import llama
from gptcli.engine.model.rope_fields import rope
from gptcli.engine.model.size_fields import alike
from gptcli.engine.model.spec import LayerSpec, ModelSpec, NormSpec

SUPPORTS = "Nemotron-3 8B, Nemotron-4 15B and 340B, Minitron 4B and 8B"

rules = llama.rules


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' NemotronConfig."""
    config = config.over({"hidden_act": "relu2", "max_position_embeddings": 4096})
    base = llama.spec(config)
    return replace(
        base,
        each_layer=alike(config, LayerSpec(rope(config, base.head_dim, partial=0.5))),
        norm=NormSpec("layernorm", config.number("norm_eps", 1e-5), bias=True, offset=True),
        gated=False,
    )
