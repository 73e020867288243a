"""Qwen3.5 MoE, its text model: Qwen3.5 with a mixture and a gated shared expert in each layer."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import llama_names
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import qwen3_5_text, qwen3_next
from gptcli.engine.model.rules import Rule, Rules
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "Qwen3.5, Qwen3.6 and Qwen3.8, with experts, text only as they are"


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' Qwen3_5MoeTextConfig."""
    found = qwen3_next.experts(config, count=256, chosen=8)
    # No layer has an MLP of its own.
    sizes = {"num_key_value_heads": 2, "intermediate_size": found.hidden}
    base = qwen3_5_text.spec(config.over(sizes))
    each_layer = tuple(replace(each, mixture=True) for each in base.each_layer)
    return replace(base, each_layer=each_layer, experts=replace(found, normalised=True))


def rules(spec: ModelSpec) -> Rules:
    """Experts are stored in two stacks, gate above up, as published, or one by one."""
    if spec.experts is None:
        raise ValueError("Qwen3.5 MoE has experts")
    mlp, block = llama_names.mixed_rules(spec, shared="shared_expert"), "layers.{i}.mlp.experts"
    for at, rule in enumerate(mlp):
        if rule.stored.startswith(f"{block}.{{n}}"):
            part = "down_proj" if "down_proj" in rule.stored else "gate_up_proj"
            mlp[at] = replace(rule, unless=f"{block}.{part}")
    count, alone = spec.experts.count, f"{block}.0"
    for stored, parts in (("gate_up_proj", ("gate", "up")), ("down_proj", ("down",))):
        into = tuple(f"layers.{{i}}.mlp.experts.{{n}}.{part}.weight" for part in parts)
        first = f"{alone}.{parts[0]}_proj.weight"
        mlp.append(Rule(f"{block}.{stored}", into, members=count, unless=first))
    attention = [*llama_names.attention_rules(spec), *qwen3_5_text.recurrence_rules(spec)]
    found = llama_names.rules(spec, attention=attention, mlp=mlp)
    return replace(found, beside=(qwen3_5_text.FURTHER,))
