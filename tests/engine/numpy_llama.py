"""A Llama by its formulas, token by token, in numpy: what stands in for the kernels in tests.

It imports no torch, and rounds nothing but the KV cache, where that is bfloat16.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gptcli.engine.cpu.run.runner import KernelRunner
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import read_spec
from gptcli.engine.model.spec import ModelSpec
from gptcli.formats.safetensors.mapping import MappedFiles


def floats(bits: np.ndarray) -> np.ndarray:
    """What bfloat16 numbers, held as uint16, are."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def bits(numbers: np.ndarray) -> np.ndarray:
    """The nearest bfloat16 of finite numbers, of two the even one."""
    whole = np.ascontiguousarray(numbers, np.float32).view(np.uint32)
    return ((whole + 0x7FFF + (whole >> 16 & 1)) >> 16).astype(np.uint16)


def weights(directory: Path) -> dict[str, np.ndarray]:
    """Our parameters' names → float32 arrays."""
    family, spec = read_spec(ConfigFields.read(directory))
    rules, found = family.rules(spec), {}
    stored = {rules.bare(name): tensor for name, tensor in MappedFiles(directory).tensors.items()}
    for rule in rules.rules:
        for layer in range(spec.layers) if "{i}" in rule.stored else (0,):
            (target,) = (name.replace("{i}", str(layer)) for name in rule.targets)
            tensor = stored[rule.stored.replace("{i}", str(layer))]
            array = floats(tensor.array) if tensor.kind == "BF16" else tensor.array
            found[target] = array.astype(np.float32)
    return found


class NumpyLlama:
    """See PackedModel. `calls` are the (tokens, wanted) of every forward."""

    activations = None

    def __init__(self, directory: Path, spec: ModelSpec) -> None:
        self.spec = spec
        self.weights = weights(directory)
        self.calls: list[tuple[int, int]] = []

    def forward(
        self,
        tokens: np.ndarray,
        rows: np.ndarray,
        positions: np.ndarray,
        keys: Sequence[np.ndarray],
        values: Sequence[np.ndarray],
        wanted: np.ndarray,
        shown: object = None,
    ) -> np.ndarray:
        self.calls.append((len(tokens), len(wanted)))
        places = list(zip(rows, positions, strict=True))
        positions, wanted = np.asarray(positions), np.asarray(wanted)
        stream = self.weights["embedding.weight"][tokens]
        for layer in range(self.spec.layers):
            at = f"layers.{layer}."
            read = self._norm(stream, at + "attention_norm")
            query = self._turned(self._heads(read, at + "attention.query"), positions)
            key = self._turned(self._heads(read, at + "attention.key"), positions)
            value = self._heads(read, at + "attention.value")
            for token, (row, position) in enumerate(places):
                store(keys[layer], row, position, key[token])
                store(values[layer], row, position, value[token])
            pairs = [(seen(keys[layer], *place), seen(values[layer], *place)) for place in places]
            gathered = np.stack([self._attended(query[i], *pair) for i, pair in enumerate(pairs)])
            stream = stream + self._linear(gathered, at + "attention.out")
            read = self._norm(stream, at + "mlp_norm")
            gate = self._linear(read, at + "mlp.gate")
            bent = gate / (1 + np.exp(-gate)) * self._linear(read, at + "mlp.up")
            stream = stream + self._linear(bent, at + "mlp.down")
        head = "embedding.weight" if self.spec.tied else "unembedding.weight"
        return self._norm(stream[wanted], "final_norm") @ self.weights[head].T

    def _linear(self, x: np.ndarray, name: str) -> np.ndarray:
        return x @ self.weights[name + ".weight"].T + self.weights.get(name + ".bias", 0)

    def _norm(self, x: np.ndarray, name: str) -> np.ndarray:
        size = np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(self.spec.norm.eps))
        return x / size * self.weights[name + ".weight"]

    def _heads(self, x: np.ndarray, name: str) -> np.ndarray:
        return self._linear(x, name).reshape(len(x), -1, self.spec.head_dim)

    def _turned(self, x: np.ndarray, positions: np.ndarray) -> np.ndarray:
        rope = self.spec.each_layer[0].rope
        half = rope.dim // 2
        angles = positions[:, None, None] / rope.theta ** (np.arange(half) / half)
        cos, sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
        one, other = x[..., :half], x[..., half:]
        return np.concatenate((one * cos - other * sin, other * cos + one * sin), axis=-1)

    def _attended(self, query: np.ndarray, keys: np.ndarray, values: np.ndarray) -> np.ndarray:
        """(heads, head_dim), and (kv_heads, positions, head_dim) twice → (heads · head_dim,)."""
        found = []
        for head, each in enumerate(query):
            scores = keys[head // self.spec.group] @ each / np.float32(np.sqrt(len(each)))
            shares = np.exp(scores - scores.max())
            found.append(shares / shares.sum() @ values[head // self.spec.group])
        return np.concatenate(found)


def store(cache: np.ndarray, row: int, position: int, numbers: np.ndarray) -> None:
    cache[row, :, position] = bits(numbers) if cache.dtype == np.uint16 else numbers


def seen(cache: np.ndarray, row: int, position: int) -> np.ndarray:
    """What a token at this position sees, (kv_heads, positions, head_dim)."""
    numbers = cache[row, :, : position + 1]
    return floats(numbers) if cache.dtype == np.uint16 else numbers


def open_kernels(
    directory: Path, spec: ModelSpec, dtype: str, threads: int | None, limit: int, **_: object
) -> KernelRunner:
    """See engine.open.open_kernels, whose place it takes."""
    name = "float32" if dtype == "auto" else dtype
    return KernelRunner(NumpyLlama(directory, spec), spec, name, limit)


def runner(directory: Path, dtype: str = "float32") -> KernelRunner:
    """A golden checkpoint in the stand-in."""
    spec = read_spec(ConfigFields.read(directory))[1]
    return open_kernels(directory, spec, dtype, None, spec.context)
