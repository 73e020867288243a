"""MiniMax-M2: a mixture in every layer, chosen by sigmoids; norms of all queries and keys."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import llama_names
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import llama
from gptcli.engine.model.rope_fields import rope
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.size_fields import alike, mixture
from gptcli.engine.model.spec import HeadNorm, LayerSpec, ModelSpec

SUPPORTS = "MiniMax-M2 and M2.1"
OTHER_NAMES = {"num_experts": "num_local_experts"}


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' MiniMaxM2Config.

    Published configs have `rotary_dim`, features, in place of `partial_rotary_factor`.
    """
    config.refuse_unless("scoring_func", "sigmoid")
    config.refuse_unless("use_routing_bias", True)
    config.refuse_unless("use_qk_norm", True)
    config.refuse_unless("qk_norm_type", "per_layer")
    config.refuse_unless("shared_intermediate_size", 0)
    base = llama.spec(config.over({"max_position_embeddings": 196608, "head_dim": 128}))
    part = config.count("rotary_dim", base.head_dim) / base.head_dim
    turned = LayerSpec(rope(config, base.head_dim, theta=5e6, partial=part), mixture=True)
    experts = mixture(
        config,
        count=config.count("num_local_experts", 256),
        chosen=config.count("num_experts_per_tok", 8),
        hidden=base.hidden,
        normalised=True,
        score="sigmoid",
        correction=True,
    )
    return replace(
        base,
        each_layer=alike(config, turned),
        qkv_bias=False,
        out_bias=False,
        mlp_bias=False,
        head_norm=HeadNorm(base.norm, over="width"),
        experts=experts,
    )


def rules(spec: ModelSpec) -> Rules:
    """Named as Mixtral's."""
    mlp = llama_names.mixture_rules(
        spec, "block_sparse_moe", ("w1", "w3", "w2"), correction="e_score_correction_bias"
    )
    return llama_names.rules(spec, mlp=mlp)
