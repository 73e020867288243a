"""Phi-3: Llama with fused projections, a window in some sizes, LongRoPE in the long ones."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import llama_names
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import llama
from gptcli.engine.model.rules import Rule, Rules, linear
from gptcli.engine.model.size_fields import rms_norm
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "Phi-3, Phi-3.5 (not vision, not MoE) and Phi-4, also mini; --ctx-size up to the first \
context takes the short factors of LongRoPE, a longer one the long factors"


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' Phi3Config."""
    base = llama.spec(config)
    window = config.optional_count("sliding_window")
    return replace(
        base,
        each_layer=tuple(replace(each, window=window) for each in base.each_layer),
        norm=rms_norm(config, 1e-5),
        qkv_bias=False,
        out_bias=False,
        mlp_bias=False,
    )


def rules(spec: ModelSpec) -> Rules:
    """Queries, keys and values are one stored tensor, gate and up another."""
    qkv = tuple(f"layers.{{i}}.attention.{part}" for part in ("query", "key", "value"))
    return llama_names.rules(
        spec,
        attention=[
            *linear("layers.{i}.self_attn.qkv_proj", qkv, bias=False),
            *linear("layers.{i}.self_attn.o_proj", "layers.{i}.attention.out", bias=False),
        ],
        mlp=fused_mlp("mlp.gate_up_proj", "mlp.down_proj"),
    )


def fused_mlp(gate_up: str, down: str, into: str = "") -> list[Rule]:
    """An MLP whose gate and up are one stored tensor; both names are without the layer's.

    into: which part of our MLP it is, "shared." or all.
    """
    ours = f"layers.{{i}}.mlp.{into}"
    return [
        *linear(f"layers.{{i}}.{gate_up}", (f"{ours}gate", f"{ours}up"), bias=False),
        *linear(f"layers.{{i}}.{down}", f"{ours}down", bias=False),
    ]
