"""Qwen3.5, its text model: three layers with a gated delta rule for each one with attention.

Norms are added to 1, attention has a gate for each of its features, and a quarter of each head
rotates.
"""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import llama_names
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import llama
from gptcli.engine.model.llama_names import OURS, where
from gptcli.engine.model.mixers import MemoryNorm, Recurrence
from gptcli.engine.model.rope_fields import rope
from gptcli.engine.model.rules import Rule, Rules, linear, next_tokens
from gptcli.engine.model.size_fields import FULL
from gptcli.engine.model.spec import HeadNorm, LayerSpec, ModelSpec, OutputGate

SUPPORTS = "Qwen3.5, Qwen3.6 and Qwen3.8, dense, text only as they are"
#: What guesses tokens behind the next one, and is not needed for that one.
FURTHER = next_tokens(r"mtp\..*")
#: Our own word for how memories that share queries and keys stand, which GGUF files change.
ORDERS = {"together": False, "by turns": True}
LINEAR = "linear_attention"
SIZES = {
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "max_position_embeddings": 32768,
    "partial_rotary_factor": 0.25,
}


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' Qwen3_5TextConfig."""
    config = config.over(SIZES)
    base = llama.spec(config)
    norm = replace(base.norm, offset=True)
    return replace(
        base,
        each_layer=layers(config, base),
        norm=norm,
        head_norm=HeadNorm(norm, over="head"),
        attention_gate=OutputGate("feature"),
        out_bias=base.qkv_bias,
    )


def layers(config: ConfigFields, base: ModelSpec) -> tuple[LayerSpec, ...]:
    """Layers with attention, and those with a recurrence in its place."""
    every = config.count("full_attention_interval", 4)
    kinds = [LINEAR if (i + 1) % every else FULL for i in range(base.layers)]
    found = config.words("layer_types", base.layers, (FULL, LINEAR)) or tuple(kinds)
    attends = LayerSpec(rope(config, base.head_dim))
    mixes = LayerSpec(mixer=recurrence(config, base.norm.eps))
    return tuple(attends if kind == FULL else mixes for kind in found)


def recurrence(config: ConfigFields, eps: float) -> Recurrence:
    """The gated delta rule of a config."""
    heads = config.count("linear_num_value_heads", 32)
    key_heads = config.count("linear_num_key_heads", 16)
    if heads % key_heads:
        raise config.bad("linear_num_key_heads", f"{key_heads} does not divide {heads} heads")
    value_dim = config.count("linear_value_head_dim", 128)
    config.refuse_unless("hidden_act", "silu")
    return Recurrence(
        heads,
        key_heads,
        key_dim=config.count("linear_key_head_dim", 128),
        value_dim=value_dim,
        taps=config.count("linear_conv_kernel_dim", 4),
        rule="delta",
        norm=MemoryNorm(eps, value_dim, shared=True, gate_first=False),
        by_turns=config.one_of("linear_value_heads", ORDERS, "together"),
    )


def rules(spec: ModelSpec) -> Rules:
    """Llama's names; what guesses further tokens is left out."""
    attention = [*llama_names.attention_rules(spec), *recurrence_rules(spec)]
    return replace(llama_names.rules(spec, attention=attention), beside=(FURTHER,))


def recurrence_rules(spec: ModelSpec) -> list[Rule]:
    """Queries, keys and values are stored as one, gates, strengths and steps by themselves."""
    layers = where(spec, lambda each: each.mixer is not None)
    theirs, ours = "layers.{i}.linear_attn", f"{OURS}.mixer"
    read = tuple(f"{ours}.{part}" for part in ("query", "key", "value"))
    return [
        *linear(f"{theirs}.in_proj_qkv", read, bias=False, layers=layers),
        *linear(f"{theirs}.in_proj_z", f"{ours}.gate", bias=False, layers=layers),
        *linear(f"{theirs}.in_proj_b", f"{ours}.strength", bias=False, layers=layers),
        *linear(f"{theirs}.in_proj_a", f"{ours}.step", bias=False, layers=layers),
        *memory_rules(spec),
    ]


def memory_rules(spec: ModelSpec) -> list[Rule]:
    """What is stored alike however the projections are."""
    layers = where(spec, lambda each: each.mixer is not None)
    theirs, ours = "layers.{i}.linear_attn", f"{OURS}.mixer"
    filtered = ("query", "key", "value")
    return [
        *llama_names.filter_rules(f"{theirs}.conv1d", filtered, bias=False, layers=layers),
        Rule(f"{theirs}.dt_bias", f"{ours}.step_bias", layers=layers),
        Rule(f"{theirs}.A_log", f"{ours}.decay_log", layers=layers),
        *linear(f"{theirs}.norm", f"{ours}.norm", bias=False, layers=layers),
        *linear(f"{theirs}.out_proj", f"{ours}.out", bias=False, layers=layers),
    ]
