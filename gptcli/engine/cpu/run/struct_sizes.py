"""The structs that the kernels read, with a model's sizes and choices, and no pointers yet."""

from __future__ import annotations

import ctypes as c

import numpy as np

from gptcli.engine.cpu.binding import abi
from gptcli.engine.cpu.binding.abi import Kind
from gptcli.engine.cpu.binding.library import Library
from gptcli.engine.host.memory import least_tokens
from gptcli.engine.model.experts import Experts
from gptcli.engine.model.latents import Latents
from gptcli.engine.model.layer_shape import LayerShape
from gptcli.engine.model.mixers import Mixer, ShortConv
from gptcli.engine.model.spec import LayerSpec, ModelSpec
from gptcli.formats.bfloat16 import as_bfloat16, as_float32


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
    """The layers, and behind them the mixers that stand beside attention."""
    both = [this.attends and this.mixer is not None for this in spec.each_layer]
    layers = (abi.LayerWeights * (spec.layers + sum(both)))()
    others = iter(layers[spec.layers :])
    shared = spec.experts.shared if spec.experts is not None else None
    for index, (this, shape) in enumerate(zip(spec.each_layer, spec.shapes, strict=True)):
        layer = layers[index]
        layer.cache, layer.scale = spec.source(index), 1.0
        layer.hidden, layer.thinks = shape.hidden, this.thinks
        if this.mixture and shared is not None:
            layer.hidden = shared.hidden
        layer.part_scales[:] = (1.0,) * abi.PARTS
        layer.out_scale = spec.residual_scale * spec.attention_out_scale
        layer.mlp_scale = spec.residual_scale * spec.mlp_out_scale
        if this.attends:
            _fill_attention(layer, spec, this, shape)
        if this.mixer is not None:
            mixing = layer
            if this.attends:
                mixing = next(others)
                layer.beside, mixing.hidden = c.addressof(mixing), layer.hidden
            _fill_sizes(mixing, this.mixer, spec.residual_scale)
    return layers


def _fill_attention(
    layer: abi.LayerWeights, spec: ModelSpec, this: LayerSpec, shape: LayerShape
) -> None:
    """The sizes of attention."""
    gate = spec.attention_gate
    layer.mixer = abi.Mixer.ATTENTION
    layer.heads, layer.kv_heads = shape.heads, shape.kv_heads
    layer.head_dim = layer.value_dim = shape.head_dim
    inner, shared = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    gates = 0 if gate is None else inner if gate.over == "feature" else shape.heads
    kept = shared if this.keeps else 0
    layer.parts[:4], layer.gathered = (inner, kept, kept, gates), spec.gathered(shape)
    layer.values_are_keys = this.values_are_keys
    if spec.latents is not None:
        _fill_latent_sizes(layer, spec.latents)
    scale = spec.attention_scale
    layer.attention_scale = shape.head_dim**-0.5 if scale is None else scale


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


def _fill_sizes(layer: abi.LayerWeights, mixer: Mixer, residual_scale: float) -> None:
    """The sizes of a mixer, what it is, and what it is multiplied by."""
    layer.out_scale, layer.part_scales[:] = residual_scale, (1.0,) * abi.PARTS
    recurrent = layer.recurrent
    recurrent.taps, layer.gathered = mixer.taps, mixer.inner
    if isinstance(mixer, ShortConv):
        layer.mixer = abi.Mixer.SHORT_CONV
        layer.parts[:3] = mixer.parts
        return
    layer.mixer = abi.Mixer.DELTA if mixer.rule == "delta" else abi.Mixer.BY_STEP
    layer.out_scale = residual_scale * mixer.out_scale
    layer.part_scales[:] = tuple(mixer.scale(part) for part in range(abi.PARTS))
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
    """The model; table: the kind of its embedding."""
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
    model.gate_scale, model.logit_scale = spec.gate_scale, spec.logit_scale
    model.final_softcap = spec.final_softcap or 0.0
    model.embedding_scale = _rounded(spec.embedding_scale, table)
    model.value_eps = spec.value_norm or 0.0
    if spec.layer_inputs is not None:
        model.told_size = spec.layer_inputs.size
        model.told_scale = _rounded(spec.layer_inputs.size**0.5, table)
    return model


def _route(model: abi.Model, experts: Experts) -> None:
    model.experts, model.chosen, model.expert_hidden = experts.count, experts.chosen, experts.hidden
    model.normalised, model.share_scale = experts.normalised, experts.scale
    model.sigmoid, model.router_softcap = experts.score == "sigmoid", experts.router_softcap or 0.0
    if experts.groups is not None:
        model.groups, model.groups_chosen = experts.groups.count, experts.groups.chosen
        model.group_best = experts.groups.best
    model.on_input, model.latent = experts.on_input, experts.latent or 0
    model.apart, model.router_scale = experts.apart, model.width**-0.5 if experts.apart else 1.0


def _rounded(number: float, kind: Kind) -> float:
    """A number as the model's dtype has it."""
    if kind is Kind.FLOAT16:
        return float(np.float16(number))
    exact = np.array([number], dtype=np.float32)
    return float(as_float32(as_bfloat16(exact) if kind is Kind.BFLOAT16 else exact)[0])
