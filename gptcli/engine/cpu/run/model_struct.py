"""Packed weights and a spec as the structs that the kernels read."""

from __future__ import annotations

import ctypes as c
from collections.abc import Iterable, Mapping

import numpy as np

from gptcli.engine.cpu.binding import abi
from gptcli.engine.cpu.binding.abi import Kind
from gptcli.engine.cpu.binding.library import Library
from gptcli.engine.cpu.packing.memory import PackedWeights
from gptcli.engine.cpu.packing.pack import as_float32
from gptcli.engine.cpu.packing.sections import EMBEDDING
from gptcli.engine.host.memory import least_tokens
from gptcli.engine.model.angles import Floats, slopes
from gptcli.engine.model.mixers import Mixer, Recurrence, ShortConv
from gptcli.engine.model.rotations import Rope
from gptcli.engine.model.spec import LayerSpec, ModelSpec
from gptcli.formats.bfloat16 import as_bfloat16


class Weights:
    """The structs, and everything that they point to."""

    def __init__(self, packed: PackedWeights, met: abi.Met) -> None:
        self.packed = packed
        spec = packed.spec
        self.ropes = list(dict.fromkeys(each.rope for each in spec.each_layer if each.rope))
        #: Where the pointers to each section are.
        self._pointers: dict[str, list[int]] = {}
        self._experts: list[c.Array[abi.Matrix]] = []
        self.model = model = _model(spec, packed.section(EMBEDDING).kind)
        self.layers = _layers(spec)
        model.met, model.layer = met, c.addressof(self.layers)
        self._slopes: list[Floats] = []
        if spec.alibi is not None:
            self._slopes = [slopes(shape.heads) * np.float32(spec.alibi) for shape in spec.shapes]
            for layer, steep in zip(self.layers, self._slopes, strict=True):
                layer.slopes = steep.ctypes.data
        for index, layer in enumerate(self.layers):
            self._fill_layer(layer, spec, index)
        self._matrix(model.embedding, "embedding")
        self._matrix(model.head, packed.head.removesuffix(".weight"))
        self._point(model.head, "bias", "head_bias")
        self._point(model, "positions", "positions.weight")
        self._norm(model.embedding_norm, "embedding_norm")
        self._norm(model.final_norm, "final_norm")
        if spec.layer_inputs is not None:
            self._matrix(model.told_table, "layer_inputs.table")
            self._matrix(model.told_project, "layer_inputs.project")
            self._norm(model.told_norm, "layer_inputs.norm")

    def move(self, names: Iterable[str]) -> None:
        """Use sections where they are now; nothing else is touched, however many there are."""
        for name in names:
            address = self.packed.address(name)
            for pointer in self._pointers[name]:
                c.c_void_p.from_address(pointer).value = address

    def point_to_angles(self, tables: Mapping[object, tuple[Floats, Floats]]) -> None:
        """Let each layer that rotates use the cosines and sines of its rope."""
        for this, layer in zip(self.packed.spec.each_layer, self.layers, strict=True):
            if this.rope is not None:
                cos, sin = tables[this.rope]
                layer.cos, layer.sin = cos.ctypes.data, sin.ctypes.data

    def _fill_layer(self, layer: abi.LayerWeights, spec: ModelSpec, index: int) -> None:
        at, this = f"layers.{index}", spec.each_layer[index]
        for name in ("attention_norm", "attention_post_norm", "mlp_norm", "mlp_post_norm"):
            self._norm(getattr(layer, name), f"{at}.{name}")
        for name in ("query_norm", "key_norm"):
            self._norm(getattr(layer, name), f"{at}.attention.{name}")
        if this.mixer is not None:
            self._fill_mixer(layer, this.mixer, f"{at}.mixer")
        elif this.mixes:
            for name in ("query", "key", "value", "out"):
                if f"{at}.attention.{name}.weight" in self.packed.places:
                    self._matrix(getattr(layer, name), f"{at}.attention.{name}")
            if spec.attention_gate is not None:
                self._matrix(layer.output_gate, f"{at}.attention.gate")
        if this.thinks:
            self._fill_mlp(layer, spec, this, at)
        if spec.layer_inputs is not None:
            for name in ("gate", "out"):
                self._matrix(getattr(layer, f"told_{name}"), f"{at}.told.{name}")
            self._norm(layer.told_norm, f"{at}.told.norm")
        if spec.layer_scales:
            layer.scale = float(self.packed.vector(f"{at}.scale")[0])
        self._point(layer, "sinks", f"{at}.attention.sinks")
        layer.window = this.window or 0
        rope: Rope | None = this.rope
        if rope is not None:
            layer.rope_dim, layer.interleaved = rope.dim, rope.interleaved

    def _fill_mixer(self, layer: abi.LayerWeights, mixer: Mixer, at: str) -> None:
        names = ("query", "key", "value")
        ours = names if isinstance(mixer, Recurrence) else ("before", "after", "value")
        for name, mine in zip(names, ours, strict=True):
            self._matrix(getattr(layer, name), f"{at}.{mine}")
            self._point(layer.recurrent, f"{name}_filter", f"{at}.{mine}_filter.weight")
            self._point(layer.recurrent, f"{name}_bias", f"{at}.{mine}_filter.bias")
        self._matrix(layer.out, f"{at}.out")
        if isinstance(mixer, Recurrence):
            for name, mine in (("output_gate", "gate"), ("step", "step")):
                self._matrix(getattr(layer, name), f"{at}.{mine}")
            if mixer.rule == "delta":
                self._matrix(layer.strength, f"{at}.strength")
            for name in ("step_bias", "decay_log", "skip"):
                self._point(layer.recurrent, name, f"{at}.{name}")
            self._norm(layer.recurrent.norm, f"{at}.norm")

    def _fill_mlp(self, layer: abi.LayerWeights, spec: ModelSpec, this: LayerSpec, at: str) -> None:
        into = ("gate", "up", "down") if spec.gated else ("up", "down")
        if this.mixture and spec.experts is not None:
            self._matrix(layer.router, f"{at}.mlp.router")
            for name in into:
                matrices = (abi.Matrix * spec.experts.count)()
                for number, matrix in enumerate(matrices):
                    self._matrix(matrix, f"{at}.mlp.experts.{number}.{name}")
                setattr(layer, f"experts_{name}", c.addressof(matrices))
                self._experts.append(matrices)
        else:
            for name in into:
                self._matrix(getattr(layer, name), f"{at}.mlp.{name}")

    def _norm(self, norm: abi.Norm, name: str) -> None:
        self._point(norm, "weight", f"{name}.weight")
        self._point(norm, "bias", f"{name}.bias")

    def _matrix(self, matrix: abi.Matrix, name: str) -> None:
        section = self.packed.section(f"{name}.weight")
        matrix.kind, matrix.rows, matrix.columns = section.kind, section.rows, section.columns
        matrix.scale = self.packed.scale(f"{name}.scale")
        self._point(matrix, "data", section.name)
        self._point(matrix, "bias", f"{name}.bias")
        self._point(matrix, "order", f"{name}.order")

    def _point(self, struct: c.Structure, field: str, name: str) -> None:
        """Let a field point to a section, where the model has one of that name."""
        address = self.packed.address(name)
        if address is not None:
            setattr(struct, field, address)
            pointer = c.addressof(struct) + getattr(type(struct), field).offset
            self._pointers.setdefault(name, []).append(pointer)


def scratch_bytes(spec: ModelSpec, library: Library, context: int, threads: int) -> int:
    """What so many threads compute with beside weights and caches, at the end of a context.

    That is of as many tokens as a model has to have room for, and the logits of one.
    """
    model, layers = _model(spec, Kind.FLOAT32), _layers(spec)
    model.layer = c.addressof(layers)
    tokens = least_tokens(context)
    taken = library.functions.kernels_scratch(c.byref(model), tokens, 1, context, threads)
    return int(taken) + 4 * spec.vocab


def _layers(spec: ModelSpec) -> c.Array[abi.LayerWeights]:
    layers = (abi.LayerWeights * spec.layers)()
    gate = spec.attention_gate
    for index, (this, shape) in enumerate(zip(spec.each_layer, spec.shapes, strict=True)):
        layer = layers[index]
        layer.hidden, layer.thinks = shape.hidden, this.thinks
        layer.cache, layer.scale = spec.source(index), 1.0
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
    for name in ("heads", "key_heads", "key_dim", "value_dim"):
        setattr(recurrent, name, getattr(mixer, name))
    recurrent.step_least, recurrent.step_most = mixer.steps
    if mixer.norm is not None:
        norm = mixer.norm
        recurrent.norm_size, recurrent.norm_shared = norm.size, norm.shared
        recurrent.gate_first, recurrent.eps = norm.gate_first, norm.eps


def _model(spec: ModelSpec, table: Kind) -> abi.Model:
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
        model.experts, model.chosen = spec.experts.count, spec.experts.chosen
        model.expert_hidden, model.normalised = spec.experts.hidden, spec.experts.normalised
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


def _rounded(number: float, kind: Kind) -> float:
    """A number as the model's dtype has it."""
    if kind is Kind.FLOAT16:
        return float(np.float16(number))
    exact = np.array([number], dtype=np.float32)
    return float(as_float32(as_bfloat16(exact) if kind is Kind.BFLOAT16 else exact)[0])
