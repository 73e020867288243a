"""Hunyuan, dense: Llama with an RMSNorm of each query and key head behind RoPE."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import llama_names
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import llama
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.size_fields import rms_norm
from gptcli.engine.model.spec import HeadNorm, ModelSpec

SUPPORTS = "Hunyuan 0.5B, 1.8B, 4B and 7B, Hunyuan-MT"


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' HunYuanDenseV1Config."""
    config.refuse_unless("use_qk_norm", True)
    config.refuse_unless("use_cla", False)
    norm = rms_norm(config, 1e-5)
    return replace(
        llama.spec(config),
        norm=norm,
        mlp_bias=False,
        head_norm=HeadNorm(norm, over="head", after_rope=True),
    )


def rules(spec: ModelSpec) -> Rules:
    """Llama's names, but for the norms of heads."""
    norms = llama_names.head_norm_rules(spec, "query_layernorm", "key_layernorm")
    return llama_names.rules(spec, head_norms=norms)
