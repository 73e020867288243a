"""Qwen3-Next: Qwen3.5's layers, with a mixture and a gated shared expert in place of each MLP."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import llama_names
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.experts import Experts, SharedExpert
from gptcli.engine.model.families import qwen3_5_text
from gptcli.engine.model.llama_names import OURS, where
from gptcli.engine.model.mixers import Recurrence
from gptcli.engine.model.rules import Rule, Rules, linear
from gptcli.engine.model.size_fields import mixture
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "Qwen3-Next-80B-A3B, Qwen3-Coder-Next"


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' Qwen3NextConfig."""
    config = config.over({"num_key_value_heads": 2, "intermediate_size": 5632})
    base = qwen3_5_text.spec(config)
    step, dense = config.count("decoder_sparse_step", 1), config.indices("mlp_only_layers")
    return replace(
        base,
        each_layer=tuple(
            replace(each, mixture=i not in dense and (i + 1) % step == 0)
            for i, each in enumerate(base.each_layer)
        ),
        experts=experts(config, count=512, chosen=10),
    )


def experts(config: ConfigFields, *, count: int, chosen: int) -> Experts:
    """The mixture of a config; count, chosen: the family's defaults."""
    return mixture(
        config,
        count=config.count("num_experts", count),
        chosen=config.count("num_experts_per_tok", chosen),
        hidden=config.count("moe_intermediate_size", 512),
        normalised=config.flag("norm_topk_prob", True),
        shared=SharedExpert(config.count("shared_expert_intermediate_size", 512), gated=True),
    )


def rules(spec: ModelSpec) -> Rules:
    """What mixers read is stored as two tensors, head of queries by head of queries."""
    layers = where(spec, lambda each: each.mixer is not None)
    groups = max((_key_heads(spec)), default=1)
    theirs, ours = "layers.{i}.linear_attn", f"{OURS}.mixer"
    read = tuple(f"{ours}.{part}" for part in ("query", "key", "value", "gate"))
    written = (f"{ours}.strength", f"{ours}.step")
    attention: list[Rule] = [
        *llama_names.attention_rules(spec),
        *linear(f"{theirs}.in_proj_qkvz", read, bias=False, groups=groups, layers=layers),
        *linear(f"{theirs}.in_proj_ba", written, bias=False, groups=groups, layers=layers),
        *qwen3_5_text.memory_rules(spec),
    ]
    mlp = llama_names.mixed_rules(spec, shared="shared_expert")
    found = llama_names.rules(spec, attention=attention, mlp=mlp)
    return replace(found, beside=(qwen3_5_text.FURTHER,))


def _key_heads(spec: ModelSpec) -> set[int]:
    mixers = [each.mixer for each in spec.each_layer]
    return {mixer.key_heads for mixer in mixers if isinstance(mixer, Recurrence)}
