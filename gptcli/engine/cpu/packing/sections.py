"""Where each of a model's parameters goes in packed memory, in the order in which it is used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gptcli.engine.cpu.binding.abi import Kind
from gptcli.engine.cpu.packing.section import EMBEDDING, UNEMBEDDING, Kinds, Section
from gptcli.engine.model.experts import Experts
from gptcli.engine.model.latents import Latents
from gptcli.engine.model.layer_shape import LayerShape
from gptcli.engine.model.mixers import Recurrence, ShortConv
from gptcli.engine.model.spec import HeadNorm, LayerSpec, ModelSpec


def sections(spec: ModelSpec, kinds: Kinds) -> Iterator[Section]:
    """All sections of a model."""
    for section in _sections(spec, kinds):
        kind = kinds.own.get(section.name, section.kind)
        if kind is not section.kind:
            section = replace(section, kind=kind)
        yield section
        base, parameter = section.name.removesuffix(".weight"), section.parameter
        if section.name in kinds.ordered:
            yield Section(f"{base}.order", parameter, "order", Kind.FLOAT32, section.columns)
        if section.form == "matrix" and kind is Kind.NVFP4:
            yield Section(f"{base}.scale", parameter, "scale", Kind.FLOAT32, 1)


def shapes(spec: ModelSpec) -> dict[str, tuple[int, ...]]:
    """The parameters of a model and their shapes, as its decoder has them."""
    found = sections(spec, Kinds.all(Kind.FLOAT32))
    return {section.parameter: section.shape for section in found}


def _sections(spec: ModelSpec, kinds: Kinds) -> Iterator[Section]:
    yield _matrix("embedding", kinds.table, spec.vocab, spec.width)
    if spec.learned_positions:
        name = "positions.weight"
        yield Section(name, name, "table", Kind.FLOAT32, spec.context, spec.width)
    if spec.embedding_norm:
        yield from _norm(spec, "embedding_norm", spec.width)
    for index, (this, shape) in enumerate(zip(spec.each_layer, spec.shapes, strict=True)):
        yield from _layer(spec, this, shape, f"layers.{index}", kinds)
    yield from _norm(spec, "final_norm", spec.width)
    if not spec.tied or kinds.own.get(UNEMBEDDING, kinds.head) is not kinds.own.get(
        EMBEDDING, kinds.table
    ):
        made_of = EMBEDDING if spec.tied else UNEMBEDDING
        yield Section(UNEMBEDDING, made_of, "matrix", kinds.head, spec.vocab, spec.width)
    if spec.head_bias:
        yield _vector("head_bias", spec.vocab)
    told = spec.layer_inputs
    if told is not None:
        columns = spec.layers * told.size
        yield _matrix("layer_inputs.project", kinds.table, columns, spec.width)
        yield from _norm(spec, "layer_inputs.norm", told.size)
        yield _matrix("layer_inputs.table", kinds.table, told.rows, columns)


def _layer(
    spec: ModelSpec, this: LayerSpec, shape: LayerShape, at: str, kinds: Kinds
) -> Iterator[Section]:
    before, after = spec.norms in ("before", "both"), spec.norms in ("after", "both")
    if this.mixes:
        if before:
            yield from _norm(spec, f"{at}.attention_norm", spec.width)
        if this.attends and spec.latents is not None:
            yield from _latent_attention(spec, spec.latents, shape, f"{at}.attention", kinds)
        elif this.attends:
            yield from _attention(spec, this, shape, f"{at}.attention", kinds)
        if isinstance(this.mixer, Recurrence):
            yield from _recurrence(this.mixer, spec.width, f"{at}.mixer", kinds)
        elif this.mixer is not None:
            yield from _short_conv(this.mixer, spec.width, f"{at}.mixer", kinds)
        if after:
            yield from _norm(spec, f"{at}.attention_post_norm", spec.width)
    if this.thinks:
        yield from _thinking(spec, this, shape, at, kinds)
    if spec.layer_inputs is not None:
        size = spec.layer_inputs.size
        yield _matrix(f"{at}.told.gate", kinds.body, size, spec.width)
        yield _matrix(f"{at}.told.out", kinds.body, spec.width, size)
        yield from _norm(spec, f"{at}.told.norm", spec.width)
    if spec.layer_scales:
        yield _vector(f"{at}.scale", 1)


def _thinking(
    spec: ModelSpec, this: LayerSpec, shape: LayerShape, at: str, kinds: Kinds
) -> Iterator[Section]:
    if spec.norms in ("before", "both") and spec.blocks != "parallel_one_norm":
        yield from _norm(spec, f"{at}.mlp_norm", spec.width)
    if this.mixture and spec.experts is not None:
        experts = spec.experts
        router = f"{at}.mlp.router"
        yield from _linear(router, kinds.table, experts.count, spec.width, experts.router_bias)
        yield from _beside(spec, experts, f"{at}.mlp", kinds)
        for n in range(experts.count):
            yield from _mlp(spec, f"{at}.mlp.experts.{n}", experts.hidden, kinds, experts.latent)
    else:
        yield from _mlp(spec, f"{at}.mlp", shape.hidden, kinds)
    if spec.norms in ("after", "both"):
        yield from _norm(spec, f"{at}.mlp_post_norm", spec.width)


def _attention(
    spec: ModelSpec, this: LayerSpec, shape: LayerShape, at: str, kinds: Kinds
) -> Iterator[Section]:
    inner, shared = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    kept = ("key",) if this.values_are_keys else ("key", "value")
    for name in ("query", *kept) if this.keeps else ("query",):
        rows = inner if name == "query" else shared
        yield from _linear(f"{at}.{name}", kinds.body, rows, spec.width, spec.qkv_bias)
    if spec.attention_gate is not None:
        gates = inner if spec.attention_gate.over == "feature" else shape.heads
        yield from _linear(f"{at}.gate", kinds.body, gates, spec.width, spec.qkv_bias)
    if spec.head_norm is not None and this.normed_heads and not spec.head_norm.norm.weightless:
        yield from _head_norm(spec.head_norm, f"{at}.query_norm", shape.heads, shape.head_dim)
        if this.keeps:
            yield from _head_norm(spec.head_norm, f"{at}.key_norm", shape.kv_heads, shape.head_dim)
    if spec.sinks:
        yield _vector(f"{at}.sinks", shape.heads)
    yield from _linear(f"{at}.out", kinds.body, spec.width, inner, spec.out_bias)


def _latent_attention(
    spec: ModelSpec, latents: Latents, shape: LayerShape, at: str, kinds: Kinds
) -> Iterator[Section]:
    heads, read, body = shape.heads, spec.width, kinds.body
    if latents.query_rank is not None:
        read = latents.query_rank
        yield from _linear(f"{at}.query_latent", body, read, spec.width, latents.bias)
        yield _vector(f"{at}.query_latent_norm.weight", read)
    yield _matrix(f"{at}.query", body, heads * (latents.plain + latents.turned), read)
    yield from _linear(f"{at}.latent", body, latents.key, spec.width, latents.bias)
    yield _vector(f"{at}.latent_norm.weight", latents.rank)
    yield _matrix(f"{at}.absorb", body, heads * latents.rank, latents.plain)
    yield _matrix(f"{at}.value", body, heads * latents.value, latents.rank)
    yield from _linear(f"{at}.out", body, spec.width, heads * latents.value, spec.out_bias)


def _recurrence(mixer: Recurrence, width: int, at: str, kinds: Kinds) -> Iterator[Section]:
    names = ("query", "key", "value", "gate", "step", "strength")
    for name, rows in zip(names, mixer.parts, strict=True):
        if rows:
            yield from _linear(f"{at}.{name}", kinds.body, rows, width, mixer.bias)
    for name, rows in zip(names, mixer.filtered, strict=False):
        yield from _filter(f"{at}.{name}_filter", rows, mixer.taps, mixer.filter_bias)
    for name in ("step_bias", "decay_log", *(("skip",) if mixer.rule == "step" else ())):
        yield _vector(f"{at}.{name}", mixer.heads)
    if mixer.norm is not None:
        yield _vector(f"{at}.norm.weight", mixer.norm.size if mixer.norm.shared else mixer.inner)
    yield from _linear(f"{at}.out", kinds.body, width, mixer.inner, mixer.out_bias)


def _short_conv(mixer: ShortConv, width: int, at: str, kinds: Kinds) -> Iterator[Section]:
    for name in ("before", "after", "value"):
        yield from _linear(f"{at}.{name}", kinds.body, mixer.inner, width, mixer.bias)
    yield from _filter(f"{at}.value_filter", mixer.inner, mixer.taps, mixer.bias)
    yield from _linear(f"{at}.out", kinds.body, width, mixer.inner, mixer.bias)


def _filter(name: str, features: int, taps: int, bias: bool) -> Iterator[Section]:
    weight = f"{name}.weight"
    yield Section(weight, weight, "filter", Kind.FLOAT32, features, taps)
    if bias:
        yield _vector(f"{name}.bias", features)


def _beside(spec: ModelSpec, experts: Experts, at: str, kinds: Kinds) -> Iterator[Section]:
    """What a mixture has beside its router and its experts."""
    if experts.correction:
        yield _vector(f"{at}.correction", experts.count)
    if experts.apart:
        for name in ("router_norm", "experts_norm", "experts_post_norm", "shared_post_norm"):
            yield from _norm(spec, f"{at}.{name}", spec.width)
        yield _vector(f"{at}.expert_scales", experts.count)
    if experts.latent is not None:
        width, latent, bias = spec.width, experts.latent, spec.mlp_bias
        yield from _linear(f"{at}.latent_in", kinds.body, latent, width, bias)
        yield from _linear(f"{at}.latent_out", kinds.body, width, latent, bias)
    if experts.shared is not None:
        if experts.shared.gated:
            yield from _linear(f"{at}.shared_gate", kinds.table, 1, spec.width, False)
        yield from _mlp(spec, f"{at}.shared", experts.shared.hidden, kinds)


def _mlp(
    spec: ModelSpec, at: str, hidden: int, kinds: Kinds, width: int | None = None
) -> Iterator[Section]:
    width = width or spec.width
    for name in ("gate", "up") if spec.gated else ("up",):
        yield from _linear(f"{at}.{name}", kinds.body, hidden, width, spec.mlp_bias)
    yield from _linear(f"{at}.down", kinds.body, width, hidden, spec.mlp_bias)


def _linear(name: str, kind: Kind, rows: int, columns: int, bias: bool) -> Iterator[Section]:
    yield _matrix(name, kind, rows, columns)
    if bias:
        yield _vector(f"{name}.bias", rows)


def _matrix(name: str, kind: Kind, rows: int, columns: int) -> Section:
    return Section(f"{name}.weight", f"{name}.weight", "matrix", kind, rows, columns)


def _norm(spec: ModelSpec, name: str, size: int) -> Iterator[Section]:
    added = 1.0 if spec.norm.offset else 0.0
    yield _vector(f"{name}.weight", size, added)
    if spec.norm.bias:
        yield _vector(f"{name}.bias", size)


def _head_norm(norm: HeadNorm, name: str, heads: int, head_dim: int) -> Iterator[Section]:
    size = head_dim if norm.over == "head" else heads * head_dim
    axis = heads if norm.over == "each_head" else None
    yield _vector(f"{name}.weight", size, 1.0 if norm.norm.offset else 0.0, axis)
    if norm.norm.bias:
        yield _vector(f"{name}.bias", size, heads=axis)


def _vector(name: str, size: int, added: float = 0.0, heads: int | None = None) -> Section:
    return Section(name, name, "vector", Kind.FLOAT32, size, added=added, heads=heads)
