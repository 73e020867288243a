"""A spec as the structs that the kernels read, before there are any weights."""

from __future__ import annotations

import ctypes as c

import numpy as np

from gptcli.engine.cpu.binding import abi
from gptcli.engine.cpu.binding.abi import Kind
from gptcli.engine.cpu.binding.library import Library
from gptcli.engine.cpu.packing.pack import as_float32
from gptcli.engine.host.memory import least_tokens
from gptcli.engine.model.experts import Experts
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
    """The sizes of all layers, and what each is."""
    layers = (abi.LayerWeights * spec.layers)()
    gate = spec.attention_gate
    beside = spec.experts.shared if spec.experts is not None else None
    for index, (this, shape) in enumerate(zip(spec.each_layer, spec.shapes, strict=True)):
        layer = layers[index]
        layer.cache, layer.scale = spec.source(index), 1.0
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
        layer.head_dim = shape.head_dim
        inner, shared = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
        gates = 0 if gate is None else inner if gate.over == "feature" else shape.heads
        kept = shared if this.keeps else 0
        layer.parts[:4], layer.gathered = (inner, kept, kept, gates), inner
        layer.values_are_keys = this.values_are_keys
        scale = spec.attention_scale
        layer.attention_scale = shape.head_dim**-0.5 if scale is None else scale
    return layers


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
    """All but weights; table: the kind of the embedding, as whose numbers scales are rounded."""
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
