"""A spec as the structs that the kernels read, before there are weights to point to."""

from __future__ import annotations

import ctypes as c

import numpy as np

from gptcli.engine.cpu.binding import abi
from gptcli.engine.cpu.binding.abi import Kind
from gptcli.engine.cpu.binding.library import Library
from gptcli.engine.cpu.packing.pack import as_float32
from gptcli.engine.host.memory import least_tokens
from gptcli.engine.model.experts import Experts
from gptcli.engine.model.latents import Latents
from gptcli.engine.model.mixers import Mixer, ShortConv
from gptcli.engine.model.spec import ModelSpec
from gptcli.formats.bfloat16 import as_bfloat16


def scratch_bytes(spec: ModelSpec, library: Library, context: int, threads: int) -> int:
    """What so many threads compute with beside weights and caches, at the end of a context.

    That is of as many tokens as a model has to have room for, and the logits of one.
    """
    model, layers = model_of(spec, Kind.FLOAT32), layers_of(spec)
    model.layer = c.addressof(layers)
    tokens = least_tokens(context)
    taken = library.functions.kernels_scratch(c.byref(model), tokens, 1, context, threads)
    return int(taken) + 4 * spec.vocab


def layers_of(spec: ModelSpec) -> c.Array[abi.LayerWeights]:
    """The sizes of every layer."""
    layers = (abi.LayerWeights * spec.layers)()
    gate = spec.attention_gate
    beside = spec.experts.shared if spec.experts is not None else None
    for layer, this, shape in zip(layers, spec.each_layer, spec.shapes, strict=True):
        layer.hidden, layer.thinks = shape.hidden, this.thinks
        if this.mixture and beside is not None:
            layer.hidden = beside.hidden
        if this.mixer is not None:
            _fill_sizes(layer, this.mixer)
            continue
        if not this.mixes:
            continue
        layer.mixer = abi.Mixer.ATTENTION
        layer.heads, layer.kv_heads = shape.heads, shape.kv_heads
        layer.head_dim = layer.value_dim = shape.head_dim
        inner, shared = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
        gates = 0 if gate is None else inner if gate.over == "feature" else shape.heads
        layer.parts[:4], layer.gathered = (inner, shared, shared, gates), spec.gathered(shape)
        if spec.latents is not None:
            _fill_latent_sizes(layer, spec.latents)
        scale = spec.attention_scale
        layer.attention_scale = shape.head_dim**-0.5 if scale is None else scale
    return layers


def _fill_latent_sizes(layer: abi.LayerWeights, latents: Latents) -> None:
    """The sizes of latent attention, and the parts that it projects to."""
    into = layer.latents
    into.rank, into.plain, into.eps = latents.rank, latents.plain, latents.eps
    layer.value_dim = latents.rank
    queries = layer.heads * (latents.plain + latents.turned)
    parts = (queries, 0)
    if latents.query_rank is not None:
        into.query_rank = latents.query_rank
        parts = latents.query_rank, queries
    layer.parts[:] = (layer.heads * latents.key, latents.key, 0, 0, *parts)


def _fill_sizes(layer: abi.LayerWeights, mixer: Mixer) -> None:
    """The sizes of a mixer, and what it is."""
    recurrent = layer.recurrent
    recurrent.taps, layer.gathered = mixer.taps, mixer.inner
    if isinstance(mixer, ShortConv):
        layer.mixer = abi.Mixer.SHORT_CONV
        layer.parts[:3] = mixer.parts
        return
    layer.mixer = abi.Mixer.DELTA if mixer.rule == "delta" else abi.Mixer.BY_STEP
    # Where steps are strengths, the kernels put them there as well.
    layer.parts[:] = (*mixer.parts[:-1], mixer.heads)
    for name in ("heads", "key_heads", "key_dim", "value_dim", "by_turns"):
        setattr(recurrent, name, getattr(mixer, name))
    recurrent.step_least, recurrent.step_most = mixer.steps
    if mixer.norm is not None:
        norm = mixer.norm
        recurrent.norm_size, recurrent.norm_shared = norm.size, norm.shared
        recurrent.gate_first, recurrent.eps = norm.gate_first, norm.eps


def model_of(spec: ModelSpec, table: Kind) -> abi.Model:
    """The sizes and choices of a model; table: the kind of its embedding."""
    model = abi.Model()
    model.width, model.vocab, model.layers = spec.width, spec.vocab, spec.layers
    model.layernorm = spec.norm.kind == "layernorm"
    model.activation = abi.ACTIVATIONS[spec.activation]
    model.gated = spec.gated
    model.eps = model.head_eps = spec.norm.eps
    if spec.head_norm is not None:
        model.norm_over_heads = abi.OVER_HEADS[spec.head_norm.over]
        model.head_eps = spec.head_norm.norm.eps
        model.head_layernorm = spec.head_norm.norm.kind == "layernorm"
        model.norm_after_rope = spec.head_norm.after_rope
    if spec.experts is not None:
        _route(model, spec.experts)
    if spec.attention_gate is not None:
        model.gate_activation = abi.GATES[spec.attention_gate.activation]
    model.parallel = abi.PARALLEL[spec.blocks]
    model.positions_count = spec.context if spec.learned_positions else 0
    model.attention_softcap = spec.attention_softcap or 0.0
    model.gate_limit, model.up_offset = spec.gate_limit or 0.0, spec.up_offset
    model.residual_scale, model.logit_scale = spec.residual_scale, spec.logit_scale
    model.final_softcap = spec.final_softcap or 0.0
    model.embedding_scale = _rounded(spec.embedding_scale, table)
    return model


def _route(model: abi.Model, experts: Experts) -> None:
    model.experts, model.chosen, model.expert_hidden = experts.count, experts.chosen, experts.hidden
    model.normalised, model.share_scale = experts.normalised, experts.scale
    model.sigmoid, model.router_softcap = experts.score == "sigmoid", experts.router_softcap or 0.0
    if experts.groups is not None:
        model.groups, model.groups_chosen = experts.groups.count, experts.groups.chosen
        model.group_best = experts.groups.best
    model.on_input, model.latent = experts.on_input, experts.latent or 0


def _rounded(number: float, kind: Kind) -> float:
    """A number as the model's dtype has it."""
    if kind is Kind.FLOAT16:
        return float(np.float16(number))
    exact = np.array([number], dtype=np.float32)
    return float(as_float32(as_bfloat16(exact) if kind is Kind.BFLOAT16 else exact)[0])
