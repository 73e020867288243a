"""Llama 4's text: a routed and a shared expert, attention in chunks but for layers without RoPE."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import llama_names
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.experts import SharedExpert
from gptcli.engine.model.families import llama
from gptcli.engine.model.rope_fields import rope
from gptcli.engine.model.rotations import Temperature
from gptcli.engine.model.rules import Rule, Rules, linear
from gptcli.engine.model.size_fields import mixture, rms_norm
from gptcli.engine.model.spec import HeadNorm, LayerSpec, ModelSpec

SUPPORTS = "Llama 4 Scout and Maverick, text only as they are"
_FULL, _CHUNKED = "full_attention", "chunked_attention"


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' Llama4TextConfig."""
    config = config.over({"head_dim": 128, "max_position_embeddings": 131072})
    hidden, norm = config.count("intermediate_size", 8192), rms_norm(config, 1e-5)
    config = config.over({"intermediate_size_mlp": 16384})
    base = llama.spec(config)
    layers = _layers(config, base)
    experts = mixture(
        config,
        count=config.count("num_local_experts", 16),
        chosen=config.count("num_experts_per_tok", 1),
        hidden=hidden,
        normalised=False,
        score="sigmoid",
        on_input=True,
        shared=SharedExpert(hidden),
    )
    normed = config.flag("use_qk_norm", True)
    return replace(
        base,
        hidden=config.count("intermediate_size_mlp"),
        each_layer=layers,
        norm=norm,
        mlp_bias=False,
        # Which of rotation and norm comes first makes no difference but where rotation stretches.
        head_norm=HeadNorm(replace(norm, weightless=True), "head", after_rope=True)
        if normed
        else None,
        experts=experts,
    )


def _layers(config: ConfigFields, base: ModelSpec) -> tuple[LayerSpec, ...]:
    count, interval = base.layers, config.count("no_rope_layer_interval", 4)
    turned = config.flags("no_rope_layers", count) if config.get("no_rope_layers") else None
    if turned is None:
        turned = tuple(bool((i + 1) % interval) for i in range(count))
    chunk = None
    if not config.has("attention_chunk_size") or config.get("attention_chunk_size") is not None:
        chunk = config.count("attention_chunk_size", 8192)
    kinds = config.words("layer_types", count, (_FULL, _CHUNKED))
    if kinds is None:
        kinds = tuple(_CHUNKED if has_rope and chunk else _FULL for has_rope in turned)
    if _CHUNKED in kinds and chunk is None:
        raise config.bad("attention_chunk_size", "is missing, but there are layers with chunks")
    own = rope(config, base.head_dim, theta=500000.0, interleaved=True)
    sharper = None
    if config.get("attn_temperature_tuning") not in (False, 0):
        floor = config.count("floor_scale", 8192)
        sharper = Temperature(config.number("attn_scale", 0.1), floor, first=1)
    mixed = _mixed(config, count)
    return tuple(
        LayerSpec(
            rope=own if has_rope else None,
            mixture=i in mixed,
            chunk=chunk if kind == _CHUNKED else None,
            temperature=None if has_rope else sharper,
            normed_heads=has_rope,
        )
        for i, (has_rope, kind) in enumerate(zip(turned, kinds, strict=True))
    )


def _mixed(config: ConfigFields, layers: int) -> frozenset[int]:
    if config.get("moe_layers") is not None:
        return config.indices("moe_layers")
    step = config.count("interleave_moe_layer_step", 1)
    return frozenset(range(step - 1, layers, step))


def rules(spec: ModelSpec) -> Rules:
    """Experts are stored in a stack, as (in, out), gate before up."""
    if spec.experts is None:
        raise ValueError("Llama 4 has experts")
    mixed, dense = llama_names.mixed_and_dense(spec)
    theirs, ours, count = "layers.{i}.feed_forward", "layers.{i}.mlp", spec.experts.count
    mlp = linear(f"{theirs}.router", f"{ours}.router", bias=False, layers=mixed)
    for stored, parts in (("gate_up_proj", ("gate", "up")), ("down_proj", ("down",))):
        into = tuple(f"{ours}.experts.{{n}}.{part}.weight" for part in parts)
        name = f"{theirs}.experts.{stored}"
        mlp.append(Rule(name, into, transpose=True, layers=mixed, members=count))
    for part in ("gate", "up", "down"):
        shared = f"{theirs}.shared_expert.{part}_proj"
        mlp += linear(shared, f"{ours}.shared.{part}", bias=False, layers=mixed)
        mlp += linear(f"{theirs}.{part}_proj", f"{ours}.{part}", bias=False, layers=dense)
    return llama_names.rules(spec, mlp=mlp)
