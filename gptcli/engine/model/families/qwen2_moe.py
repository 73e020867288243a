"""Qwen2 MoE: Qwen2 with a mixture of experts, and a shared expert that each token weighs."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import llama_names
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.experts import SharedExpert
from gptcli.engine.model.families import llama
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.size_fields import FULL, SLIDING, by_kind, mixture, window_in_use
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "Qwen1.5-MoE-A2.7B, Qwen2-57B-A14B"


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' Qwen2MoeConfig."""
    base = llama.spec(config.over({"max_position_embeddings": 32768}))
    window, last = window_in_use(config), config.count("max_window_layers", 28)
    kinds = [FULL if window is None or i % 2 or i >= last else SLIDING for i in range(base.layers)]
    layers = by_kind(config, window, [each.rope for each in base.each_layer], kinds)
    step, dense = config.count("decoder_sparse_step", 1), config.indices("mlp_only_layers")
    experts = mixture(
        config,
        count=config.count("num_experts", 60),
        chosen=config.count("num_experts_per_tok", 4),
        hidden=config.count("moe_intermediate_size", 1408),
        normalised=config.flag("norm_topk_prob", False),
        shared=SharedExpert(config.count("shared_expert_intermediate_size", 5632), gated=True),
    )
    return replace(
        base,
        each_layer=tuple(
            replace(each, mixture=i not in dense and (i + 1) % step == 0)
            for i, each in enumerate(layers)
        ),
        qkv_bias=config.flag("qkv_bias", True),
        out_bias=False,
        mlp_bias=False,
        experts=experts,
    )


def rules(spec: ModelSpec) -> Rules:
    """Layers without a mixture are stored as Llama's."""
    mlp = llama_names.mixed_rules(spec, shared="shared_expert")
    return llama_names.rules(spec, mlp=mlp)
