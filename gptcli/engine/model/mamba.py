"""Mamba-2 (arXiv:2405.21060) as Bamba's config.json and checkpoints name it, and many after it."""

from __future__ import annotations

import math
from typing import Any

from gptcli.engine.model import llama_names
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.llama_names import OURS, where
from gptcli.engine.model.mixers import MemoryNorm, Recurrence
from gptcli.engine.model.rules import Rule, linear
from gptcli.engine.model.spec import ModelSpec

#: What layers with a mixer are called, now and before.
MAMBA = ("linear_attention", "mamba")
#: What layers with attention are called, now and before.
ATTENTION = ("full_attention", "attention")
_UNBOUNDED = (math.inf, "Infinity", {"__float__": "Infinity"})


def recurrence(config: ConfigFields, inner: int, eps: float) -> Recurrence:
    """Memories of so many features together. Defaults are those of transformers' BambaConfig."""
    config.refuse_unless("hidden_act", "silu")
    heads = config.count("mamba_n_heads", 128)
    if inner % heads:
        raise config.bad("mamba_n_heads", f"{heads} does not divide {inner} features")
    if config.get("mamba_d_head") not in (None, "auto", inner // heads):
        raise config.bad("mamba_d_head", f"must be {inner // heads}, as there are {heads} heads")
    bias = config.flag("mamba_proj_bias", False)
    return memories(
        config,
        heads=heads,
        groups=("mamba_n_groups", config.count("mamba_n_groups", 1)),
        key_dim=config.count("mamba_d_state", 256),
        value_dim=inner // heads,
        taps=config.count("mamba_d_conv", 4),
        eps=eps,
        bias=bias,
        filter_bias=config.flag("mamba_conv_bias", True),
        out_bias=bias,
        steps=step_limits(config),
    )


def memories(
    config: ConfigFields,
    *,
    heads: int,
    groups: tuple[str, int],
    value_dim: int,
    eps: float,
    **more: Any,
) -> Recurrence:
    """Mamba-2's, gated, then normed group by group. groups: the field's name, and how many."""
    name, count = groups
    if heads % count:
        raise config.bad(name, f"{count} does not divide {heads} heads")
    norm = MemoryNorm(eps, heads * value_dim // count, shared=False, gate_first=True)
    return Recurrence(heads, count, value_dim=value_dim, rule="step", norm=norm, **more)


def step_limits(config: ConfigFields) -> tuple[float, float]:
    """`time_step_limit`: the least step, which may be 0, and the largest, which may be any."""
    found = config.get("time_step_limit")
    if found is None:
        return 0.0, math.inf
    if not isinstance(found, list) or len(found) != 2:
        raise config.bad("time_step_limit", "must be two numbers")
    least, most = (ConfigFields(config.subject, {"time_step_limit": each}) for each in found)
    lower = 0.0 if found[0] == 0 else least.number("time_step_limit")
    upper = math.inf if found[1] in _UNBOUNDED else most.number("time_step_limit")
    if lower > upper:
        raise config.bad("time_step_limit", f"is from {lower:g} to {upper:g}, which is nothing")
    return lower, upper


def rules(spec: ModelSpec, block: str = "mamba") -> list[Rule]:
    """Gates, values, keys, queries and steps are stored as one; so is the convolution."""
    layers = where(spec, lambda each: each.mixer is not None)
    mixers = [each.mixer for each in spec.each_layer if isinstance(each.mixer, Recurrence)]
    if not mixers:
        return []
    mixer = mixers[0]
    theirs, ours = f"layers.{{i}}.{block}", f"{OURS}.mixer"
    into = tuple(f"{ours}.{part}" for part in ("gate", "value", "key", "query", "step"))
    filtered, bias = ("value", "key", "query"), mixer.filter_bias
    norm = linear(f"{theirs}.norm", f"{ours}.norm", bias=False, layers=layers)
    return [
        *linear(f"{theirs}.in_proj", into, bias=mixer.bias, layers=layers),
        *llama_names.filter_rules(f"{theirs}.conv1d", filtered, bias=bias, layers=layers),
        Rule(f"{theirs}.dt_bias", f"{ours}.step_bias", layers=layers),
        Rule(f"{theirs}.A_log", f"{ours}.decay_log", layers=layers),
        Rule(f"{theirs}.D", f"{ours}.skip", layers=layers),
        *(norm if mixer.norm is not None else []),
        *linear(f"{theirs}.out_proj", f"{ours}.out", bias=mixer.out_bias, layers=layers),
    ]
