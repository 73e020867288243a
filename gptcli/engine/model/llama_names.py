"""Stored names as in Llama's checkpoints, which most later families keep with small changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gptcli.engine.model.mixers import ShortConv
from gptcli.engine.model.rules import Rule, Rules, linear
from gptcli.engine.model.spec import LayerSpec, ModelSpec

OURS = "layers.{i}"


def rules(
    spec: ModelSpec,
    *,
    attention: list[Rule] | None = None,
    mlp: list[Rule] | None = None,
    head_norms: list[Rule] | None = None,
    attention_norm: str = "input_layernorm",
    attention_post_norm: str = "post_attention_layernorm",
    mlp_norm: str = "post_attention_layernorm",
    mlp_post_norm: str = "post_feedforward_layernorm",
    final_norm: str = "norm",
    ignored: tuple[str, ...] = (),
    other_prefixes: tuple[str, ...] = (),
) -> Rules:
    """The rules of a spec; what is given takes the place of Llama's own."""
    bias = spec.norm.bias
    mixes, thinks = where(spec, lambda each: each.mixes), where(spec, lambda each: each.thinks)
    found = [
        Rule("embed_tokens.weight", "embedding.weight"),
        *(attention_rules(spec) if attention is None else attention),
        *(mlp_rules(spec) if mlp is None else mlp),
        *linear(final_norm, "final_norm", bias=bias),
    ]
    if spec.head_norm is not None:
        found += head_norm_rules(spec) if head_norms is None else head_norms
    if spec.norms in ("before", "both"):
        before = f"layers.{{i}}.{attention_norm}"
        found += linear(before, f"{OURS}.attention_norm", bias=bias, layers=mixes)
        if spec.blocks != "parallel_one_norm":
            before = f"layers.{{i}}.{mlp_norm}"
            found += linear(before, f"{OURS}.mlp_norm", bias=bias, layers=thinks)
    if spec.norms in ("after", "both"):
        post = f"layers.{{i}}.{attention_post_norm}"
        found += linear(post, f"{OURS}.attention_post_norm", bias=bias, layers=mixes)
        post = f"layers.{{i}}.{mlp_post_norm}"
        found += linear(post, f"{OURS}.mlp_post_norm", bias=bias, layers=thinks)
    found += head(spec)
    # Older checkpoints hold the rope frequencies.
    old = r"layers\.\d+\.self_attn\.rotary_emb\.inv_freq"
    more = (old, *ignored, *spare_head(spec))
    return Rules(tuple(found), "model.", more, other_prefixes)


def head(spec: ModelSpec, stored: str = "lm_head") -> list[Rule]:
    """The unembedding, where it is not the embedding, and its bias."""
    found = [] if spec.tied else [Rule(f"{stored}.weight", "unembedding.weight")]
    return [*found, Rule(f"{stored}.bias", "head_bias")] if spec.head_bias else found


def spare_head(spec: ModelSpec, stored: str = "lm_head") -> tuple[str, ...]:
    """A tied head may be stored twice: the name of the copy, to be left out."""
    return (rf"(language_model\.)?{stored}\.weight",) if spec.tied else ()


def where(spec: ModelSpec, holds: Callable[[LayerSpec], bool]) -> tuple[int, ...] | None:
    """The layers of which it holds, None for all."""
    found = tuple(i for i, each in enumerate(spec.each_layer) if holds(each))
    return None if len(found) == spec.layers else found


def mixed_and_dense(spec: ModelSpec) -> tuple[tuple[int, ...] | None, tuple[int, ...] | None]:
    """The layers with a mixture, and those without: see `where`."""
    return where(spec, lambda each: each.mixture), where(spec, lambda each: not each.mixture)


def attention_rules(
    spec: ModelSpec, out: str = "o_proj", *, block: str = "self_attn"
) -> list[Rule]:
    """Every projection is stored by itself, as (out, in).

    Where attention has a gate of each feature, that stands behind the queries, head by head.
    """
    theirs, ours = f"layers.{{i}}.{block}", f"{OURS}.attention"
    layers, bias = where(spec, lambda each: each.attends), spec.qkv_bias
    kept = where(spec, lambda each: each.keeps)
    valued = where(spec, lambda each: each.keeps and not each.values_are_keys)
    queries, groups = f"{theirs}.q_proj", 1
    into: str | tuple[str, ...] = f"{ours}.query"
    if spec.attention_gate is not None and spec.attention_gate.over == "feature":
        into, groups = (f"{ours}.query", f"{ours}.gate"), spec.heads
    return [
        *linear(queries, into, bias=bias, groups=groups, layers=layers),
        *linear(f"{theirs}.k_proj", f"{ours}.key", bias=bias, layers=kept),
        *linear(f"{theirs}.v_proj", f"{ours}.value", bias=bias, layers=valued),
        *linear(f"{theirs}.{out}", f"{ours}.out", bias=spec.out_bias, layers=layers),
    ]


def filter_rules(
    stored: str, parts: tuple[str, ...], *, bias: bool, layers: tuple[int, ...] | None
) -> list[Rule]:
    """The convolution of a mixer, stored as one; parts: what it goes over, in that order."""
    ours = tuple(f"{OURS}.mixer.{part}_filter" for part in parts)
    weights = tuple(f"{each}.weight" for each in ours)
    found = [Rule(f"{stored}.weight", weights, layers=layers, between=True)]
    biases = tuple(f"{each}.bias" for each in ours)
    return [*found, Rule(f"{stored}.bias", biases, layers=layers)] if bias else found


def short_conv_rules(spec: ModelSpec, block: str = "conv") -> list[Rule]:
    """The short convolutions of some layers, as LFM2 stores them."""
    layers = where(spec, lambda each: isinstance(each.mixer, ShortConv))
    bias = any(isinstance(each.mixer, ShortConv) and each.mixer.bias for each in spec.each_layer)
    theirs, ours = f"layers.{{i}}.{block}", f"{OURS}.mixer"
    into = tuple(f"{ours}.{part}" for part in ("before", "after", "value"))
    return [
        *linear(f"{theirs}.in_proj", into, bias=bias, layers=layers),
        *filter_rules(f"{theirs}.conv", ("value",), bias=bias, layers=layers),
        *linear(f"{theirs}.out_proj", f"{ours}.out", bias=bias, layers=layers),
    ]


def head_norm_rules(spec: ModelSpec, query: str = "q_norm", key: str = "k_norm") -> list[Rule]:
    """The norms of queries and keys, in the layers that have them; none where nothing is stored."""
    if spec.head_norm is None or spec.head_norm.norm.weightless:
        return []
    theirs, ours, bias = "layers.{i}.self_attn", f"{OURS}.attention", spec.head_norm.norm.bias
    layers = where(spec, lambda each: each.attends and each.normed_heads)
    kept = where(spec, lambda each: each.keeps and each.normed_heads)
    return [
        *linear(f"{theirs}.{query}", f"{ours}.query_norm", bias=bias, layers=layers),
        *linear(f"{theirs}.{key}", f"{ours}.key_norm", bias=bias, layers=kept),
    ]


def mlp_rules(
    spec: ModelSpec,
    gate: str = "gate_proj",
    up: str = "up_proj",
    down: str = "down_proj",
    *,
    block: str = "mlp",
    layers: tuple[int, ...] | None = None,
) -> list[Rule]:
    """The MLP of every layer, or of some."""
    theirs, ours, bias = f"layers.{{i}}.{block}", f"{OURS}.mlp", spec.mlp_bias
    found = linear(f"{theirs}.{gate}", f"{ours}.gate", bias=bias, layers=layers)
    return [
        *(found if spec.gated else []),
        *linear(f"{theirs}.{up}", f"{ours}.up", bias=bias, layers=layers),
        *linear(f"{theirs}.{down}", f"{ours}.down", bias=bias, layers=layers),
    ]


def mixture_rules(
    spec: ModelSpec,
    block: str,
    names: tuple[str, str, str],
    layers: tuple[int, ...] | None = None,
    *,
    shared: str = "shared_experts",
    correction: str = "gate.e_score_correction_bias",
    exact: bool = False,
) -> list[Rule]:
    """A router and experts that are stored one by one, and what is beside them.

    names: of gate, up and down; shared: of the shared expert; exact: the router computes in float32
    in every dtype, as what corrects it always does.
    """
    if spec.experts is None:
        return []
    theirs, ours = f"layers.{{i}}.{block}", f"{OURS}.mlp"
    found = linear(f"{theirs}.gate", f"{ours}.router", bias=spec.experts.router_bias, layers=layers)
    found = [replace(rule, exact=exact) for rule in found]
    if spec.experts.correction:
        into = f"{ours}.correction"
        found.append(Rule(f"{theirs}.{correction}", into, layers=layers, exact=True))
    members = [("experts.{n}", "experts.{n}", spec.experts.count)]
    if spec.experts.shared is not None:
        members.append((shared, "shared", 1))
        if spec.experts.shared.gated:
            gate = f"{theirs}.{shared}_gate"
            found += linear(gate, f"{ours}.shared_gate", bias=False, layers=layers)
    for their_mlp, our_mlp, count in members:
        parts = list(zip(names, ("gate", "up", "down"), strict=True))
        for name, part in parts if spec.gated else parts[1:]:
            found += linear(
                f"{theirs}.{their_mlp}.{name}",
                f"{ours}.{our_mlp}.{part}",
                bias=spec.mlp_bias,
                layers=layers,
                members=count,
            )
    return found


def mixed_rules(
    spec: ModelSpec,
    block: str = "mlp",
    names: tuple[str, str, str] = ("gate_proj", "up_proj", "down_proj"),
    **how: Any,
) -> list[Rule]:
    """Mixtures in the layers that have one, whose MLPs are named as those which others have.

    how: see mixture_rules.
    """
    mixed, dense = mixed_and_dense(spec)
    whole = mlp_rules(spec, *names, block=block, layers=dense)
    return [*mixture_rules(spec, block, names, mixed, **how), *whole]
