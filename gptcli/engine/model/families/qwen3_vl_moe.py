"""Qwen3-VL with a mixture of experts: its text model alone, which is Qwen3 MoE."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import llama_names, wrapped
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import qwen3_vl
from gptcli.engine.model.rules import Rule, Rules
from gptcli.engine.model.size_fields import head_dim, mixture
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "Qwen3-VL 30B-A3B and 235B-A22B: text only"


def spec(config: ConfigFields) -> ModelSpec:
    """The text model is described in `text_config`."""
    return wrapped.spec(config, _text)


def _text(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' Qwen3VLMoeTextConfig."""
    config = config.renamed({"num_local_experts": "num_experts"})
    width, heads = config.count("hidden_size"), config.count("num_attention_heads")
    base = qwen3_vl.text(config.over({"head_dim": head_dim(config, width, heads)}))
    experts = mixture(
        config,
        count=config.count("num_experts", 60),
        chosen=config.count("num_experts_per_tok", 4),
        hidden=config.count("moe_intermediate_size", 1408),
        normalised=True,
    )
    step, dense = config.count("decoder_sparse_step", 1), config.indices("mlp_only_layers")
    mixed = [i not in dense and (i + 1) % step == 0 for i in range(base.layers)]
    layers = zip(base.each_layer, mixed, strict=True)
    each_layer = tuple(replace(each, mixture=is_mixed) for each, is_mixed in layers)
    return replace(base, each_layer=each_layer, experts=experts)


def rules(spec: ModelSpec) -> Rules:
    """Experts are stored in a stack, gate before up; other layers as Llama's.

    Published ones are (in, out), those that transformers 5 writes (out, in).
    """
    if spec.experts is None:
        raise ValueError("Qwen3-VL MoE has experts")
    mixed, dense = llama_names.mixed_and_dense(spec)
    theirs, ours, count = "layers.{i}.mlp", "layers.{i}.mlp.experts.{n}", spec.experts.count
    mlp = [Rule(f"{theirs}.gate.weight", "layers.{i}.mlp.router.weight", layers=mixed)]
    for stored, parts in (("gate_up_proj", ("gate", "up")), ("down_proj", ("down",))):
        into = tuple(f"{ours}.{part}.weight" for part in parts)
        name = f"{theirs}.experts.{stored}"
        mlp.append(Rule(name, into, layers=mixed, members=count, either=True))
    mlp += llama_names.mlp_rules(spec, layers=dense)
    return wrapped.rules(llama_names.rules(spec, mlp=mlp), "visual")
