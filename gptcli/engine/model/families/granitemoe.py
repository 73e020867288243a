"""Granite MoE: Granite with a mixture of experts in place of each MLP."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import llama_names
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.experts import Experts
from gptcli.engine.model.families import granite, mixtral
from gptcli.engine.model.rules import Rule, Rules
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "Granite 3.0 and 3.1 1B-A400M and 3B-A800M, PowerMoE"
OTHER_NAMES = mixtral.OTHER_NAMES


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' GraniteMoeConfig."""
    base = granite.spec(config)
    # Its softmax is over those that are chosen, which comes to the same as dividing by their sum.
    experts = mixtral.experts(config, base.hidden)
    layers = tuple(replace(each, mixture=True) for each in base.each_layer)
    return replace(base, each_layer=layers, mlp_bias=False, experts=experts)


def rules(spec: ModelSpec) -> Rules:
    """Experts are stored in a stack, gate above up."""
    if spec.experts is None:
        raise ValueError("Granite MoE has experts")
    return llama_names.rules(spec, mlp=expert_rules(spec.experts))


def expert_rules(experts: Experts) -> list[Rule]:
    """The router and the two stacks."""
    theirs, ours, count = "layers.{i}.block_sparse_moe", "layers.{i}.mlp", experts.count
    gate_up = tuple(f"{ours}.experts.{{n}}.{part}.weight" for part in ("gate", "up"))
    return [
        Rule(f"{theirs}.router.layer.weight", f"{ours}.router.weight"),
        Rule(f"{theirs}.input_linear.weight", gate_up, members=count),
        Rule(f"{theirs}.output_linear.weight", f"{ours}.experts.{{n}}.down.weight", members=count),
    ]
