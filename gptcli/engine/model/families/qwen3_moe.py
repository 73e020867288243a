"""Qwen3 MoE: Qwen3 with a mixture of many small experts in all or some layers."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import llama_names
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import llama
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.size_fields import mixture, window_in_use
from gptcli.engine.model.spec import HeadNorm, ModelSpec

SUPPORTS = "Qwen3-30B-A3B, Qwen3-235B-A22B, Qwen3-Coder"
OTHER_NAMES = {"num_local_experts": "num_experts"}


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' Qwen3MoeConfig."""
    base = llama.spec(config)
    window = window_in_use(config)
    experts = mixture(
        config,
        count=config.count("num_experts", 128),
        chosen=config.count("num_experts_per_tok", 8),
        hidden=config.count("moe_intermediate_size", 768),
        normalised=config.flag("norm_topk_prob", False),
    )
    step, dense = config.count("decoder_sparse_step", 1), config.indices("mlp_only_layers")
    return replace(
        base,
        each_layer=tuple(
            replace(each, window=window, mixture=i not in dense and (i + 1) % step == 0)
            for i, each in enumerate(base.each_layer)
        ),
        head_norm=HeadNorm(base.norm, over="head"),
        experts=experts,
    )


def rules(spec: ModelSpec) -> Rules:
    """Layers without a mixture are stored as Llama's."""
    return llama_names.rules(spec, mlp=llama_names.mixed_rules(spec))
