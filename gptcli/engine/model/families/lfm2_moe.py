"""LFM2 MoE: LFM2 whose layers but the first have a mixture, chosen by sigmoids and a correction."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import llama_names
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.expert_fields import none_or
from gptcli.engine.model.families import lfm2
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.size_fields import mixture
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "LFM2-8B-A1B, LFM2-24B-A2B, LFM2.5-8B-A1B"
OTHER_NAMES = {"tie_embedding": "tie_word_embeddings", "norm_eps": "rms_norm_eps"}


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' Lfm2MoeConfig."""
    hidden = config.count("intermediate_size", 7168)
    base = replace(lfm2.spec(config.over({"intermediate_size": hidden})), hidden=hidden)
    experts = mixture(
        config,
        count=config.count("num_experts", 32),
        chosen=config.count("num_experts_per_tok", 4),
        hidden=config.count("moe_intermediate_size", 1792),
        normalised=config.flag("norm_topk_prob", True),
        score="sigmoid",
        correction=config.flag("use_expert_bias", True),
        scale=config.number("routed_scaling_factor", 1.0),
    )
    dense = none_or(config, "num_dense_layers", 2)
    each_layer = tuple(replace(each, mixture=i >= dense) for i, each in enumerate(base.each_layer))
    return replace(base, each_layer=each_layer, experts=experts)


def rules(spec: ModelSpec) -> Rules:
    """LFM2's names; what corrects the router stands beside it."""
    names = ("w1", "w3", "w2")
    mlp = llama_names.mixed_rules(spec, "feed_forward", names, correction="expert_bias")
    return lfm2.named(spec, mlp)
