"""Laguna: mixtures chosen by sigmoids, more heads where there is a window, gates by softplus."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from gptcli.engine.model import llama_names
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.experts import Experts, SharedExpert
from gptcli.engine.model.families import llama
from gptcli.engine.model.rope_fields import rope
from gptcli.engine.model.rotations import Rope
from gptcli.engine.model.rules import Rules, linear
from gptcli.engine.model.size_fields import FULL, SLIDING, by_kind, mixture
from gptcli.engine.model.spec import HeadNorm, LayerSpec, ModelSpec, OutputGate

SUPPORTS = "Laguna XS, S and M"
DENSE, SPARSE = "dense", "sparse"
_ROPES = {
    FULL: {"rope_type": "default", "rope_theta": 500000.0, "partial_rotary_factor": 0.5},
    SLIDING: {"rope_type": "default", "rope_theta": 10000.0},
}
_SIZES = {
    "hidden_size": 2048,
    "head_dim": 128,
    "intermediate_size": 8192,
    "max_position_embeddings": 131072,
    "num_attention_heads": 48,
    "num_hidden_layers": 40,
    "num_key_value_heads": 8,
    "vocab_size": 100352,
}


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' LagunaConfig."""
    # With it, the gate alone would have none.
    config.refuse_unless("attention_bias", False)
    config.refuse_unless("moe_apply_router_weight_on_input", False)
    config = config.over(_SIZES)
    base = llama.spec(config, (LayerSpec(),) * config.layers("num_hidden_layers"))
    return replace(
        base,
        each_layer=_layers(config, base),
        mlp_bias=False,
        head_norm=HeadNorm(base.norm, over="head"),
        attention_gate=OutputGate(_gate(config, base.layers), "softplus"),
        experts=_experts(config),
    )


def _layers(config: ConfigFields, base: ModelSpec) -> tuple[LayerSpec, ...]:
    count = base.layers
    kinds = config.words("layer_types", count, (FULL, SLIDING)) or (FULL,) * count
    ropes = _ropes(config, base.head_dim)
    window = config.count("sliding_window", 512) if SLIDING in kinds else None
    found = by_kind(config, window, [ropes[kind] for kind in kinds], kinds)
    default = (DENSE, *[SPARSE] * (count - 1))
    mlps = config.words("mlp_layer_types", count, (DENSE, SPARSE)) or default
    return tuple(
        replace(each, mixture=mlp == SPARSE, shape=replace(base.shape, heads=heads))
        for each, mlp, heads in zip(found, mlps, _heads(config, base), strict=True)
    )


def _heads(config: ConfigFields, base: ModelSpec) -> tuple[int, ...]:
    """Of queries, in each layer."""
    found = config.counts("num_attention_heads_per_layer", base.layers)
    for heads in found or ():
        if heads % base.kv_heads:
            reason = f"has {heads} heads, which {base.kv_heads} of keys do not divide"
            raise config.bad("num_attention_heads_per_layer", reason)
    return found or (base.heads,) * base.layers


def _ropes(config: ConfigFields, head_dim: int) -> dict[str, Rope]:
    """Of each kind of layer; only beside its base does a config say how many features turn."""
    names = ("max_position_embeddings", "rope_parameters")
    fields = {name: config.get(name) for name in names}
    own = ConfigFields(config.subject, fields).over({"rope_parameters": _ROPES})
    bases = {FULL: 500000.0, SLIDING: 10000.0}
    return {kind: rope(own, head_dim, theta=bases[kind], kind=kind) for kind in (FULL, SLIDING)}


def _gate(config: ConfigFields, layers: int) -> Literal["feature", "head"]:
    """One for each head or feature, in all layers. Raises ModelError for anything else."""
    kinds: dict[object, Literal["feature", "head"]]
    kinds = {True: "head", "per-head": "head", "per-element": "feature"}
    config.refuse_unless("gating", *kinds)
    found = kinds[config.get("gating") or True]
    word = {"head": "per_head", "feature": "per_element"}[found]
    config.words("gating_types", layers, (word,))
    return found


def _experts(config: ConfigFields) -> Experts:
    cap = config.get("moe_router_logit_softcapping")
    return mixture(
        config,
        count=config.count("num_experts", 256),
        chosen=config.count("num_experts_per_tok", 8),
        hidden=config.count("moe_intermediate_size", 512),
        normalised=True,
        score="sigmoid",
        router_softcap=config.number("moe_router_logit_softcapping") if cap else None,
        correction=True,
        scale=config.number("moe_routed_scaling_factor", 1.0),
        shared=SharedExpert(config.count("shared_expert_intermediate_size", 512)),
    )


def rules(spec: ModelSpec) -> Rules:
    """The gate has a projection of its own; the correction is stored beside the experts."""
    ungated = llama_names.attention_rules(replace(spec, attention_gate=None))
    gate = linear("layers.{i}.self_attn.g_proj", f"{llama_names.OURS}.attention.gate", bias=False)
    mlp = llama_names.mixed_rules(
        spec, shared="shared_expert", correction="experts.e_score_correction_bias"
    )
    return llama_names.rules(spec, attention=[*ungated, *gate], mlp=mlp)
