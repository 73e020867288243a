"""Falcon-H1: attention and Mamba-2 beside each other in every layer, multipliers everywhere."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import mamba
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import bamba, llama
from gptcli.engine.model.mixers import Recurrence
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "Falcon-H1 0.5B to 34B, Falcon-H1R"
OTHER_NAMES = bamba.OTHER_NAMES

rules = bamba.rules


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' FalconH1Config."""
    config = config.over(bamba.DEFAULTS | {"max_position_embeddings": 8192})
    base = llama.spec(config)
    config.words("layers_block_type", base.layers, ("hybrid",))
    read = config.number("attention_in_multiplier", 1.0)
    if read != 1 and base.qkv_bias:
        raise config.bad("attention_bias", "is not supported with 'attention_in_multiplier'")
    # What is read is in queries, keys and values, so twice in scores.
    scale = base.head_dim**-0.5 * read * read * config.number("key_multiplier", 1.0)
    gate, down = _numbers(config, "mlp_multipliers", 2)
    mixer = _mixer(config, base)
    return replace(
        base,
        each_layer=tuple(replace(each, mixer=mixer, beside=True) for each in base.each_layer),
        attention_scale=config.made("attention_in_multiplier", scale),
        attention_out_scale=read * config.number("attention_out_multiplier", 1.0),
        gate_scale=gate,
        mlp_out_scale=down,
        embedding_scale=config.number("embedding_multiplier", 1.0),
        logit_scale=config.number("lm_head_multiplier", 1.0),
    )


def _mixer(config: ConfigFields, base: ModelSpec) -> Recurrence:
    inner = config.count("mamba_d_ssm", 1024)
    if config.has("mamba_d_ssm") and config.get("mamba_d_ssm") is None:
        inner = config.count("mamba_expand", 2) * base.width
    found = mamba.recurrence(config, inner, base.norm.eps)
    read = config.number("ssm_in_multiplier", 1.0)
    if read != 1 and found.bias:
        raise config.bad("mamba_proj_bias", "is not supported with 'ssm_in_multiplier'")
    gates, values, keys, queries, steps = _numbers(config, "ssm_multipliers", 5)
    norm = None
    if found.norm is not None and config.flag("mamba_rms_norm", False):
        gate_first = not config.flag("mamba_norm_before_gate", True)
        norm = replace(found.norm, gate_first=gate_first)
    return replace(
        found,
        norm=norm,
        out_bias=config.flag("projectors_bias", False),
        scales=tuple(read * each for each in (queries, keys, values, gates, steps)),
        out_scale=config.number("ssm_out_multiplier", 1.0),
    )


def _numbers(config: ConfigFields, name: str, length: int) -> tuple[float, ...]:
    return (1.0,) * length if config.get(name) is None else config.numbers(name, length)
