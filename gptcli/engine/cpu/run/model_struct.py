"""Packed weights and a spec as the structs that the kernels read."""

from __future__ import annotations

import ctypes as c
from collections.abc import Mapping

import numpy as np

from gptcli.engine.cpu.binding import abi
from gptcli.engine.cpu.binding.abi import Kind
from gptcli.engine.cpu.packing.memory import PackedWeights
from gptcli.engine.cpu.packing.pack import as_float32
from gptcli.engine.cpu.packing.sections import EMBEDDING
from gptcli.engine.model.angles import Floats, slopes
from gptcli.engine.model.spec import ModelSpec, Rope
from gptcli.formats.bfloat16 import as_bfloat16


class Weights:
    """The structs, and everything that they point to."""

    def __init__(self, packed: PackedWeights, met: abi.Met) -> None:
        self.packed = packed
        spec = packed.spec
        self.ropes = list(dict.fromkeys(each.rope for each in spec.each_layer if each.rope))
        self._slopes: list[Floats] = []
        #: The matrices of experts by what they are: those of before go when the weights move.
        self._experts: dict[str, c.Array[abi.Matrix]] = {}
        self.layers = (abi.LayerWeights * spec.layers)()
        self.model = _model(spec, packed.section(EMBEDDING).kind)
        self.model.met = met
        self.model.layer = c.addressof(self.layers)
        for layer, shape in zip(self.layers, spec.shapes, strict=True):
            layer.heads, layer.kv_heads = shape.heads, shape.kv_heads
            layer.head_dim, layer.hidden = shape.head_dim, shape.hidden
            scale = spec.attention_scale
            layer.attention_scale = shape.head_dim**-0.5 if scale is None else scale
            if spec.alibi is not None:
                steep = slopes(shape.heads) * np.float32(spec.alibi)
                self._slopes.append(steep)
                layer.slopes = steep.ctypes.data
        self.point()

    def point(self) -> None:
        """Let all structs use the weights where they are now."""
        packed = self.packed
        for index, layer in enumerate(self.layers):
            self._fill_layer(layer, packed.spec, index)
        self.model.embedding = self._matrix("embedding")
        self.model.positions = packed.address("positions.weight")
        self.model.embedding_norm = self._norm("embedding_norm")
        self.model.final_norm = self._norm("final_norm")
        self.model.head = self._matrix(packed.head.removesuffix(".weight"))
        self.model.head.bias = packed.address("head_bias")

    def point_to_angles(self, tables: Mapping[object, tuple[Floats, Floats]]) -> None:
        """Let each layer that rotates use the cosines and sines of its rope."""
        for this, layer in zip(self.packed.spec.each_layer, self.layers, strict=True):
            if this.rope is not None:
                cos, sin = tables[this.rope]
                layer.cos, layer.sin = cos.ctypes.data, sin.ctypes.data

    def _fill_layer(self, layer: abi.LayerWeights, spec: ModelSpec, index: int) -> None:
        at, this = f"layers.{index}", spec.each_layer[index]
        layer.attention_norm = self._norm(f"{at}.attention_norm")
        layer.attention_post_norm = self._norm(f"{at}.attention_post_norm")
        layer.mlp_norm = self._norm(f"{at}.mlp_norm")
        layer.mlp_post_norm = self._norm(f"{at}.mlp_post_norm")
        layer.query_norm = self._norm(f"{at}.attention.query_norm")
        layer.key_norm = self._norm(f"{at}.attention.key_norm")
        for name in ("query", "key", "value", "out"):
            setattr(layer, name, self._matrix(f"{at}.attention.{name}"))
        into = ("gate", "up", "down") if spec.gated else ("up", "down")
        if this.mixture and spec.experts is not None:
            layer.router = self._matrix(f"{at}.mlp.router")
            for name in into:
                found = self._all_of(f"{at}.mlp.experts", name, spec.experts.count)
                setattr(layer, f"experts_{name}", found)
        else:
            for name in into:
                setattr(layer, name, self._matrix(f"{at}.mlp.{name}"))
        layer.sinks = self.packed.address(f"{at}.attention.sinks")
        layer.window = this.window or 0
        rope: Rope | None = this.rope
        if rope is not None:
            layer.rope_dim, layer.interleaved = rope.dim, rope.interleaved

    def _all_of(self, at: str, name: str, count: int) -> int:
        matrices = (abi.Matrix * count)(*(self._matrix(f"{at}.{n}.{name}") for n in range(count)))
        self._experts[f"{at}.{name}"] = matrices
        return c.addressof(matrices)

    def _norm(self, name: str) -> abi.Norm:
        return abi.Norm(self.packed.address(f"{name}.weight"), self.packed.address(f"{name}.bias"))

    def _matrix(self, name: str) -> abi.Matrix:
        section, bias = self.packed.section(f"{name}.weight"), self.packed.address(f"{name}.bias")
        address = self.packed.address(section.name)
        return abi.Matrix(address, bias, section.kind, section.rows, section.columns)


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
    if spec.experts is not None:
        model.experts, model.chosen = spec.experts.count, spec.experts.chosen
        model.expert_hidden, model.normalised = spec.experts.hidden, spec.experts.normalised
    model.parallel = abi.PARALLEL[spec.blocks]
    model.positions_count = spec.context if spec.learned_positions else 0
    model.attention_softcap = spec.attention_softcap or 0.0
    model.gate_limit, model.up_offset = spec.gate_limit or 0.0, spec.up_offset
    model.residual_scale, model.logit_scale = spec.residual_scale, spec.logit_scale
    model.final_softcap = spec.final_softcap or 0.0
    model.embedding_scale = _rounded(spec.embedding_scale, table)
    return model


def _rounded(number: float, kind: Kind) -> float:
    """A number as the model's dtype has it."""
    if kind is Kind.FLOAT16:
        return float(np.float16(number))
    exact = np.array([number], dtype=np.float32)
    return float(as_float32(as_bfloat16(exact) if kind is Kind.BFLOAT16 else exact)[0])
