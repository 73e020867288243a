"""ERNIE 4.5 MoE: dense layers, then mixtures with a shared expert, corrected by a bias."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import llama_names
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.expert_fields import none_or
from gptcli.engine.model.experts import SharedExpert
from gptcli.engine.model.families import llama
from gptcli.engine.model.rope_fields import rope
from gptcli.engine.model.rules import Rules, next_tokens
from gptcli.engine.model.size_fields import alike, mixture, rms_norm
from gptcli.engine.model.spec import LayerSpec, ModelSpec

SUPPORTS = "ERNIE 4.5 21B-A3B and 300B-A47B"
OTHER_NAMES = {"num_experts": "moe_num_experts", "num_experts_per_tok": "moe_k"}


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' Ernie4_5_MoeConfig."""
    # Experts have none in any case.
    config.refuse_unless("use_bias", False)
    config.refuse_unless("moe_norm_min", 1e-12)
    base = llama.spec(config.over({"max_position_embeddings": 131072}))
    turned = LayerSpec(rope(config, base.head_dim, theta=500000.0, interleaved=True))
    hidden = config.count("moe_intermediate_size", 1536)
    shared = none_or(config, "moe_num_shared_experts", 2)
    experts = mixture(
        config,
        count=config.count("moe_num_experts", 64),
        chosen=config.count("moe_k", 6),
        hidden=hidden,
        normalised=True,
        correction=True,
        shared=SharedExpert(shared * hidden) if shared else None,
    )
    layers = alike(config, turned)
    mixed = _mixed(config, len(layers))
    return replace(
        base,
        each_layer=tuple(replace(each, mixture=i in mixed) for i, each in enumerate(layers)),
        norm=rms_norm(config, 1e-5),
        tied=config.flag("tie_word_embeddings", True),
        qkv_bias=False,
        out_bias=False,
        mlp_bias=False,
        experts=experts,
    )


def _mixed(config: ConfigFields, layers: int) -> frozenset[int]:
    """The layers with a mixture: from one to another, both included, or each so many."""
    last = layers - 1
    if config.get("moe_layer_end_index") not in (None, -1):
        last = none_or(config, "moe_layer_end_index")
    first, step = none_or(config, "moe_layer_start_index", 1), config.count("moe_layer_interval", 1)
    return frozenset(i for i in range(layers) if first <= i <= last and (i + 1) % step == 0)


def rules(spec: ModelSpec) -> Rules:
    """What corrects the router is stored as a matrix of one row."""
    mlp = llama_names.mixed_rules(
        spec, correction="moe_statics.e_score_correction_bias", exact=True
    )
    mlp = [replace(rule, one_row=rule.stored.endswith("e_score_correction_bias")) for rule in mlp]
    return replace(llama_names.rules(spec, mlp=mlp), beside=(next_tokens(r"mtp_.*"),))
