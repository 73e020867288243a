"""Mixtral: Mistral with a mixture of experts in place of each MLP."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import llama_names
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.experts import Experts
from gptcli.engine.model.families import llama
from gptcli.engine.model.rope_fields import rope
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.size_fields import alike, mixture, rms_norm
from gptcli.engine.model.spec import LayerSpec, ModelSpec

SUPPORTS = "Mixtral 8x7B and 8x22B"
OTHER_NAMES = {"num_experts": "num_local_experts"}


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' MixtralConfig."""
    base = llama.spec(config)
    window = config.optional_count("sliding_window")
    turned = rope(config, base.head_dim, theta=1e6)
    return replace(
        base,
        each_layer=alike(config, LayerSpec(turned, window, mixture=True)),
        norm=rms_norm(config, 1e-5),
        experts=experts(config, base.hidden),
    )


def experts(config: ConfigFields, hidden: int) -> Experts:
    """The mixture of each layer, whose MLPs have so many features inside."""
    return mixture(
        config,
        count=config.count("num_local_experts", 8),
        chosen=config.count("num_experts_per_tok", 2),
        hidden=hidden,
        normalised=True,
    )


def rules(spec: ModelSpec) -> Rules:
    """Every expert's matrices are stored by themselves."""
    mixture = llama_names.mixture_rules(spec, "block_sparse_moe", ("w1", "w3", "w2"))
    return llama_names.rules(spec, mlp=mixture)
