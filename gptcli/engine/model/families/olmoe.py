"""OLMoE: Llama with norms over all queries and over all keys, and a mixture in every layer."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import llama, qwen3_moe
from gptcli.engine.model.size_fields import mixture, rms_norm
from gptcli.engine.model.spec import HeadNorm, ModelSpec

SUPPORTS = "OLMoE 1B-7B"
OTHER_NAMES = qwen3_moe.OTHER_NAMES

rules = qwen3_moe.rules


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' OlmoeConfig."""
    config.refuse_unless("clip_qkv")
    config = config.over({"max_position_embeddings": 4096})
    base, norm = llama.spec(config), rms_norm(config, 1e-5)
    experts = mixture(
        config,
        count=config.count("num_experts", 64),
        chosen=config.count("num_experts_per_tok", 8),
        hidden=base.hidden,
        normalised=config.flag("norm_topk_prob", False),
    )
    return replace(
        base,
        each_layer=tuple(replace(each, mixture=True) for each in base.each_layer),
        norm=norm,
        mlp_bias=False,
        head_norm=HeadNorm(norm, over="width"),
        experts=experts,
    )
