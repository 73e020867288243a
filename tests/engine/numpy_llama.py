"""A Llama by its formulas, token by token, in numpy: what stands in for the kernels in tests.

It imports no torch, and rounds nothing but the KV cache, where that has two bytes a number.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gptcli.engine.cpu.run.runner import KernelRunner
from gptcli.engine.describe import Described, describe
from gptcli.engine.model.rotations import Rope
from gptcli.engine.model.spec import ModelSpec
from gptcli.engine.runner import context_in_use
from gptcli.engine.state.keys_values import KeysValues
from gptcli.formats.mapping import MappedFiles
from gptcli.types.compute import Compute


def floats(bits: np.ndarray) -> np.ndarray:
    """What bfloat16 numbers, held as uint16, are."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def bits(numbers: np.ndarray) -> np.ndarray:
    """The nearest bfloat16 of finite numbers, of two the even one."""
    whole = np.ascontiguousarray(numbers, np.float32).view(np.uint32)
    return ((whole + 0x7FFF + (whole >> 16 & 1)) >> 16).astype(np.uint16)


def weights(model: Described) -> dict[str, np.ndarray]:
    """Our parameters' names → float32 arrays."""
    rules, found, spec, mapped = model.family.rules(model.spec), {}, model.spec, MappedFiles()
    stored = {rules.bare(name): tensor for name, tensor in model.stored.tensors.items()}
    for rule in rules.rules:
        for layer in range(spec.layers) if "{i}" in rule.stored else (0,):
            (target,) = (name.replace("{i}", str(layer)) for name in rule.targets)
            tensor = stored[rule.stored.replace("{i}", str(layer))]
            array = mapped.array(tensor)
            found[target] = floats(array) if tensor.kind == "BF16" else array.astype(np.float32)
    return found


class NumpyLlama:
    """See PackedModel. `calls` are the (tokens, wanted) of every forward."""

    activations = None
    threads = 1
    instructions = "numpy"
    weight_bytes = 0

    def __init__(self, spec: ModelSpec, weights: dict[str, np.ndarray]) -> None:
        self.spec = spec
        self.weights = weights
        self.calls: list[tuple[int, int]] = []

    def forward(
        self,
        tokens: np.ndarray,
        rows: np.ndarray,
        positions: np.ndarray,
        layers: Sequence[KeysValues],
        wanted: np.ndarray,
        shown: object = None,
        *,
        edits: object = None,
        table: np.ndarray | None = None,
        near: object = None,
        slots=None,
    ) -> np.ndarray:
        self.calls.append((len(tokens), len(wanted)))
        places = list(zip(rows, positions, strict=True))
        positions, wanted = np.asarray(positions), np.asarray(wanted)
        stream = self.weights["embedding.weight"][tokens]
        for layer, held in enumerate(layers):
            at = f"layers.{layer}."
            read = self._norm(stream, at + "attention_norm")
            rope, size = self.spec.each_layer[layer].rope, self.spec.shapes[layer].head_dim
            query, key, value = (
                self._linear(read, at + f"attention.{name}").reshape(len(read), -1, size)
                for name in ("query", "key", "value")
            )
            query, key = turned(query, rope, positions), turned(key, rope, positions)
            for token, (row, position) in enumerate(places):
                store(held.keys, row, position, key[token], table)
                store(held.values, row, position, value[token], table)
            pairs = [
                (seen(held.keys, *place, table), seen(held.values, *place, table))
                for place in places
            ]
            gathered = np.stack([attended(query[i], *pair) for i, pair in enumerate(pairs)])
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


def turned(x: np.ndarray, rope: Rope, positions: np.ndarray) -> np.ndarray:
    """(tokens, heads, head_dim), rotated."""
    half = rope.dim // 2
    angles = positions[:, None, None] / rope.theta ** (np.arange(half) / half)
    cos, sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    one, other = x[..., :half], x[..., half:]
    return np.concatenate((one * cos - other * sin, other * cos + one * sin), axis=-1)


def attended(query: np.ndarray, keys: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(heads, head_dim), and (kv_heads, positions, head_dim) twice → (heads · head_dim,)."""
    found, group = [], len(query) // len(keys)
    for head, each in enumerate(query):
        scores = keys[head // group] @ each / np.float32(np.sqrt(len(each)))
        shares = np.exp(scores - scores.max())
        found.append(shares / shares.sum() @ values[head // group])
    return np.concatenate(found)


Table = np.ndarray | None


def store(cache: np.ndarray, row: int, position: int, numbers: np.ndarray, table: Table) -> None:
    if table is not None:
        size = cache.shape[2]
        row, position = table[row, position // size], position % size
    cache[row, :, position] = bits(numbers) if cache.dtype == np.uint16 else numbers


def seen(cache: np.ndarray, row: int, position: int, table: Table) -> np.ndarray:
    """What a token at this position sees, (kv_heads, positions, head_dim)."""
    pages = [cache[row]] if table is None else [cache[page] for page in table[row]]
    numbers = np.concatenate(pages, axis=1)[:, : position + 1]
    return floats(numbers) if cache.dtype == np.uint16 else numbers.astype(np.float32)


def open_kernels(described: Described, compute: Compute, _texts: object = ()) -> KernelRunner:
    """See engine.open.open_kernels, whose place it takes; nothing is rounded."""
    name = "float32" if compute.dtype == "auto" else compute.dtype
    limit = context_in_use(described.spec, compute.ctx_size)
    return KernelRunner(NumpyLlama(described.spec, weights(described)), described.spec, name, limit)


def runner(directory: Path, dtype: str = "float32") -> KernelRunner:
    """A golden checkpoint in the stand-in."""
    return open_kernels(describe(directory), Compute(dtype=dtype))
