"""A whole forward, slowly and obviously, in numpy: serial gated layers with a norm before each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gptcli.engine.cpu.binding.abi import Met
from gptcli.engine.cpu.packing.section import Kinds
from gptcli.engine.model.angles import slopes
from gptcli.engine.model.layer_shape import LayerShape
from gptcli.engine.model.rotations import Rope
from gptcli.engine.model.spec import LayerSpec, ModelSpec
from tests.engine.cpu import reference


class ReferenceForward:
    """Logits after every token of one row, in float64, of weights that are stored as `kinds` say.

    met: as what those of 8 and fewer bits meet activations.
    """

    def __init__(
        self,
        spec: ModelSpec,
        parameters: Mapping[str, np.ndarray],
        kinds: Kinds,
        instructions: str,
        met: Met,
    ) -> None:
        self.spec, self.parameters, self.kinds = spec, parameters, kinds
        self.instructions, self.met = instructions, met

    def logits(self, tokens: list[int]) -> np.ndarray:
        """(tokens, vocab)"""
        table = reference.stored(self.parameters["embedding.weight"], self.kinds.table.name)
        stream = table[tokens]
        for index, (layer, shape) in enumerate(
            zip(self.spec.each_layer, self.spec.shapes, strict=True)
        ):
            at = f"layers.{index}"
            stream = stream + self.attention(stream, f"{at}.attention", layer, shape)
            read = self.norm(stream, f"{at}.mlp_norm.weight")
            gate = self.linear(read, f"{at}.mlp.gate")
            bent = gate / (1 + np.exp(-gate)) * self.linear(read, f"{at}.mlp.up")
            stream = stream + self.linear(bent, f"{at}.mlp.down")
        read = self.norm(stream, "final_norm.weight")
        return self.product(read, self.parameters["embedding.weight"], self.kinds.head.name)

    def attention(
        self, stream: np.ndarray, at: str, layer: LayerSpec, shape: LayerShape
    ) -> np.ndarray:
        count = len(stream)
        read = self.norm(stream, f"{at}_norm.weight")
        query, key, value = (
            self.linear(read, f"{at}.{name}").reshape(count, heads, shape.head_dim)
            for name, heads in (
                *(("query", shape.heads), ("key", shape.kv_heads)),
                ("value", shape.kv_heads),
            )
        )
        query, key = (
            self.head_norm(query, f"{at}.query_norm"),
            self.head_norm(key, f"{at}.key_norm"),
        )
        if layer.rope is not None:
            query, key = rotated(query, layer.rope), rotated(key, layer.rope)
        gathered = np.zeros_like(query)
        distance = np.arange(count)[:, None] - np.arange(count)
        seen = (distance >= 0) & (distance < (layer.window or count))
        for head in range(shape.heads):
            shared = head // shape.group
            scores = query[:, head] @ key[:, shared].T / np.sqrt(shape.head_dim)
            if self.spec.alibi is not None:
                scores = scores - slopes(shape.heads)[head] * self.spec.alibi * distance
            powers = np.where(seen, np.exp(scores), 0)
            total = powers.sum(1)
            if self.spec.sinks:
                total = total + np.exp(np.float64(self.parameters[f"{at}.sinks"][head]))
            gathered[:, head] = powers / total[:, None] @ value[:, shared]
        return self.linear(gathered.reshape(count, -1), f"{at}.out")

    def head_norm(self, x: np.ndarray, name: str) -> np.ndarray:
        if self.spec.head_norm is None:
            return x
        flat = x.reshape(len(x), -1) if self.spec.head_norm.over == "width" else x
        weight = self.parameters[f"{name}.weight"]
        if self.spec.head_norm.over == "each_head":
            weight = weight.reshape(x.shape[1:])
        return self.normed(flat, weight, self.spec.head_norm.norm.eps).reshape(x.shape)

    def norm(self, x: np.ndarray, name: str) -> np.ndarray:
        return self.normed(x, self.parameters[name], self.spec.norm.eps)

    def normed(self, x: np.ndarray, weight: np.ndarray, eps: float) -> np.ndarray:
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight.astype(np.float64)

    def linear(self, x: np.ndarray, name: str) -> np.ndarray:
        return self.product(x, self.parameters[f"{name}.weight"], self.kinds.body.name)

    def product(self, x: np.ndarray, weights: np.ndarray, kind: str) -> np.ndarray:
        return reference.product(x, weights, kind, self.instructions, self.met)


def rotated(x: np.ndarray, rope: Rope) -> np.ndarray:
    """(tokens, heads, head_dim): features j and j + dim / 2 turn together."""
    half = rope.dim // 2
    angles = np.arange(len(x))[:, None, None] / rope.theta ** (np.arange(half) / half)
    cos, sin = np.cos(angles), np.sin(angles)
    one, other = x[..., :half], x[..., half : rope.dim]
    turned = (one * cos - other * sin, other * cos + one * sin)
    return np.concatenate((*turned, x[..., rope.dim :]), axis=-1)
