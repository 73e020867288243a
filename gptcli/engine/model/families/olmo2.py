"""OLMo 2: Llama with norms after the blocks, and norms over all queries and over all keys."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import llama
from gptcli.engine.model.size_fields import rms_norm
from gptcli.engine.model.spec import HeadNorm, LayerSpec, ModelSpec

SUPPORTS = "OLMo 2 in all sizes"

rules = llama.rules


def spec(config: ConfigFields, layers: tuple[LayerSpec, ...] | None = None) -> ModelSpec:
    """Field names and defaults are those of transformers' Olmo2Config. layers: see llama.spec."""
    norm = rms_norm(config, 1e-5)
    return replace(
        llama.spec(config, layers),
        norm=norm,
        mlp_bias=False,
        norms="after",
        head_norm=HeadNorm(norm, over="width"),
    )
