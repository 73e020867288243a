"""Packed weights and a spec as the structs that the kernels read."""

from __future__ import annotations

import ctypes as c
from collections.abc import Iterable, Mapping

import numpy as np

from gptcli.engine.cpu.binding import abi
from gptcli.engine.cpu.packing.memory import PackedWeights
from gptcli.engine.cpu.packing.section import EMBEDDING
from gptcli.engine.cpu.run.struct_sizes import layers_of, model_of
from gptcli.engine.model.angles import Floats, slopes
from gptcli.engine.model.latents import Latents
from gptcli.engine.model.mixers import Mixer, Recurrence
from gptcli.engine.model.rotations import Rope
from gptcli.engine.model.spec import LayerSpec, ModelSpec


class Weights:
    """The structs, and everything that they point to."""

    def __init__(self, packed: PackedWeights, met: abi.Met) -> None:
        self.packed = packed
        spec = packed.spec
        self.ropes = list(dict.fromkeys(each.rope for each in spec.each_layer if each.rope))
        #: Where the pointers to each section are.
        self._pointers: dict[str, list[int]] = {}
        self._experts: list[c.Array[abi.Matrix]] = []
        self.model = model = model_of(spec, packed.section(EMBEDDING).kind)
        self.layers = layers_of(spec)
        model.met, model.layer = met, c.addressof(self.layers)
        self._slopes: list[Floats] = []
        #: The weight of norms that have none.
        self._ones: Floats = np.ones(max(s.heads * s.head_dim for s in spec.shapes), np.float32)
        if spec.alibi is not None:
            self._slopes = [slopes(shape.heads) * np.float32(spec.alibi) for shape in spec.shapes]
            for layer, steep in zip(self.layers, self._slopes, strict=False):
                layer.slopes = steep.ctypes.data
        for index, layer in enumerate(self.layers[: spec.layers]):
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
        for this, layer in zip(self.packed.spec.each_layer, self.layers, strict=False):
            if this.rope is not None:
                cos, sin = tables[this.rope]
                layer.cos, layer.sin = cos.ctypes.data, sin.ctypes.data

    def _fill_layer(self, layer: abi.LayerWeights, spec: ModelSpec, index: int) -> None:
        at, this = f"layers.{index}", spec.each_layer[index]
        for name in ("attention_norm", "attention_post_norm", "mlp_norm", "mlp_post_norm"):
            self._norm(getattr(layer, name), f"{at}.{name}")
        for name in ("query_norm", "key_norm"):
            self._norm(getattr(layer, name), f"{at}.attention.{name}")
            if spec.head_norm is not None and spec.head_norm.norm.weightless and this.normed_heads:
                getattr(layer, name).weight = self._ones.ctypes.data
        if this.mixer is not None:
            beside = layer.beside
            mixing = abi.LayerWeights.from_address(beside) if beside else layer
            self._fill_mixer(mixing, this.mixer, f"{at}.mixer")
        if this.attends and spec.latents is not None:
            self._fill_latents(layer, spec.latents, f"{at}.attention")
        elif this.attends:
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
        layer.window, layer.chunk = this.window or 0, this.chunk or 0
        if this.temperature is not None:
            layer.sharpened_first = this.temperature.first
            layer.sharpened_length = this.temperature.length
            layer.sharpened_scale = this.temperature.scale
        rope: Rope | None = this.rope
        if rope is not None:
            layer.rope_dim, layer.interleaved = rope.dim, rope.interleaved

    def _fill_latents(self, layer: abi.LayerWeights, latents: Latents, at: str) -> None:
        into, queries = layer.latents, f"{at}.query"
        if latents.query_rank is not None:
            self._matrix(into.query, queries)
            queries = f"{at}.query_latent"
            self._norm(into.query_norm, f"{at}.query_latent_norm")
        self._norm(into.norm, f"{at}.latent_norm")
        for matrix, name in (
            *((layer.query, queries), (layer.key, f"{at}.latent"), (layer.out, f"{at}.out")),
            *((into.absorb, f"{at}.absorb"), (into.value, f"{at}.value")),
        ):
            self._matrix(matrix, name)

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
            self._point(layer, "correction", f"{at}.mlp.correction")
            self._point(layer, "expert_scales", f"{at}.mlp.expert_scales")
            for name in ("router_norm", "experts_norm", "experts_post_norm", "shared_post_norm"):
                self._norm(getattr(layer, name), f"{at}.mlp.{name}")
            for name in ("latent_in", "latent_out", "shared_gate"):
                if f"{at}.mlp.{name}.weight" in self.packed.places:
                    self._matrix(getattr(layer, name), f"{at}.mlp.{name}")
        if not this.mixture or (spec.experts is not None and spec.experts.shared is not None):
            whole = f"{at}.mlp.shared" if this.mixture else f"{at}.mlp"
            for name in into:
                self._matrix(getattr(layer, name), f"{whole}.{name}")

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
