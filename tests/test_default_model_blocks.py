"""The default model runs from the blocks of its GGUF file, as the gguf package reads them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest

from gptcli.engine.cpu import opening
from gptcli.engine.cpu.binding.library import open_library
from gptcli.engine.cpu.packing.memory import PackedWeights
from gptcli.engine.cpu.packing.pack import as_float32, pack
from gptcli.engine.cpu.run.model import KernelModel
from gptcli.engine.describe import describe
from gptcli.engine.model.spec import ModelSpec
from gptcli.formats.bfloat16 import as_bfloat16
from tests.engine.cpu.helpers import Session, needs_kernels
from tests.engine.cpu.reference import rounded_activations
from tests.engine.numpy_llama import NumpyLlama
from tests.opening import parameters, spec_of

pytestmark = needs_kernels
PROMPT = "The most effective way to learn computer science is to read"
#: Our matrices → the file's, both without their layer, and the heads whose rows it permutes.
MATRICES = {
    "attention.query": ("attn_q", 9),
    "attention.key": ("attn_k", 3),
    "attention.value": ("attn_v", 0),
    "attention.out": ("attn_output", 0),
    "mlp.gate": ("ffn_gate", 0),
    "mlp.up": ("ffn_up", 0),
    "mlp.down": ("ffn_down", 0),
}
NORMS = {"attention_norm": "attn_norm", "mlp_norm": "ffn_norm"}


@pytest.fixture(scope="module")
def spec(default_model: Path) -> ModelSpec:
    return spec_of(default_model)


@pytest.fixture(scope="module")
def packed(default_model: Path, spec: ModelSpec) -> PackedWeights:
    """As the file of packed weights has it, that --dtype auto makes."""
    described = describe(default_model)
    choice = opening.choose(described, "auto")
    assert choice is not None and choice.name == "int4"
    return opening._packed(described, choice, 64, 2)


@pytest.fixture(scope="module")
def tensors(default_gguf: Path) -> dict[str, gguf.ReaderTensor]:
    return {each.name: each for each in gguf.GGUFReader(default_gguf).tensors}


def published(rows: np.ndarray, heads: int) -> np.ndarray:
    """Rows of queries or keys as published: llama.cpp's converter interleaves a head's halves."""
    if not heads:
        return rows
    return rows.reshape(heads, -1, 2, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)


def unpacked(packed: PackedWeights, name: str) -> list[np.ndarray]:
    """A section's parts as GGUF's blocks, (rows, bytes) of each; source/kinds/ has the layouts."""
    section, at = packed.places[name]
    four = section.kind.name == "INT4"
    size, head = (640, 128) if four else (1088, 64)
    panels, steps = sum(section.padded) // 16, -(-section.columns // 64)
    memory = packed.memory[at : at + panels * steps * size].reshape(panels, steps, size)
    # (panels, steps, scale or minimum, group, row, byte) → the bytes of a group together
    halves = memory[:, :, :head].reshape(panels, steps, -1, 2, 16, 2).transpose(0, 4, 1, 3, 2, 5)
    # (panels, steps, fours, group, row, byte)
    bytes_ = memory[:, :, head:].reshape(panels, steps, -1, 2, 16, 4).transpose(0, 4, 1, 3, 2, 5)
    groups = (panels, 16, 2 * steps, -1)
    numbers = bytes_.reshape(groups) if four else bytes_.reshape(groups) - np.uint8(128)
    found = np.concatenate([halves.reshape(groups), numbers], axis=-1).reshape(panels, 16, -1)
    if section.turns:
        # Panels of 16 rows take turns.
        found = np.concatenate([found[n :: len(section.parts)] for n in range(len(section.parts))])
    whole = found.reshape(-1, found.shape[-1])
    ends = np.cumsum(section.padded)[:-1]
    return [part[:rows] for part, rows in zip(np.split(whole, ends), section.rows, strict=True)]


def test_blocks_are_byte_for_byte_the_files(packed, spec, tensors):
    """Catches a default model that was quantised again, or one of its blocks at another place."""
    compared = 0
    for section, _ in packed.places.values():
        if section.form != "matrix":
            continue
        for name, ours in zip(section.parts, unpacked(packed, section.name), strict=True):
            if name == "embedding.weight":
                theirs, heads = "token_embd", 0
            else:
                _, layer, rest = name.removesuffix(".weight").split(".", 2)
                theirs, heads = MATRICES[rest]
                theirs = f"blk.{layer}.{theirs}"
            wanted = published(tensors[f"{theirs}.weight"].data, heads)
            assert np.array_equal(ours, wanted), name
            compared += 1
    assert compared == 7 * spec.layers + 1


def test_the_table_is_the_blocks_in_bfloat16(packed, tensors):
    """Catches a tied embedding whose rows are not those of the head."""
    table, at = packed.places["embedding"]
    ours = packed.memory[at : at + 2 * table.rows[0] * table.columns].view(np.uint16)
    stored = tensors["token_embd.weight"]
    wanted = as_bfloat16(gguf.quants.dequantize(stored.data, stored.tensor_type))
    assert np.array_equal(ours, wanted.reshape(-1))


class BlocksLlama(NumpyLlama):
    """A Llama by its formulas, whose weights are what the gguf package makes of the file's blocks.

    exact: activations meet them as they are, else rounded to 8 bits.
    """

    def __init__(self, spec: ModelSpec, tensors: dict[str, gguf.ReaderTensor], exact: bool) -> None:
        self.spec, self.exact, self.calls = replace(spec, tied=False), exact, []

        def numbers(name: str) -> np.ndarray:
            tensor = tensors[f"{name}.weight"]
            return gguf.quants.dequantize(tensor.data, tensor.tensor_type)

        def short(name: str) -> np.ndarray:
            return as_float32(as_bfloat16(np.ascontiguousarray(numbers(name))))

        self.weights = {
            "embedding.weight": short("token_embd"),
            "unembedding.weight": numbers("token_embd"),
            "final_norm.weight": short("output_norm"),
        }
        for layer in range(spec.layers):
            for ours, (theirs, heads) in MATRICES.items():
                matrix = published(numbers(f"blk.{layer}.{theirs}"), heads)
                self.weights[f"layers.{layer}.{ours}.weight"] = matrix
            for ours, theirs in NORMS.items():
                self.weights[f"layers.{layer}.{ours}.weight"] = short(f"blk.{layer}.{theirs}")

    def _linear(self, x: np.ndarray, name: str) -> np.ndarray:
        return super()._linear(self._met(x), name)

    def _norm(self, x: np.ndarray, name: str) -> np.ndarray:
        found = super()._norm(x, name)
        return self._met(found) if name == "final_norm" else found

    def _met(self, x: np.ndarray) -> np.ndarray:
        return x if self.exact else rounded_activations(x)


@pytest.mark.parametrize("layers", [1, 30])
def test_logits_are_those_of_a_slow_reference(packed, spec, tensors, default_model, layers):
    """Catches arithmetic that strays, at sizes that tiny models do not have.

    Where activations are rounded to 8 bits, a last bit that differs takes some number to the
    other side of a border, which in the next layer takes many: after a few layers two ways to add
    up are as far apart as either is from what is not rounded. So rounding is held to the numbers
    in the first layer, and to its own noise after all of them.
    """
    from gptcli.text.tokenizer import Tokenizer

    ids = Tokenizer(default_model).encode(PROMPT)
    weights = parameters(default_model)
    spec = replace(spec, each_layer=spec.each_layer[:layers])
    packed = pack(spec, packed.kinds, weights, open_library())
    ours, theirs = {}, {}
    for exact in (True, False):
        model = KernelModel(packed, open_library(), threads=2, exact_activations=exact)
        (ours[exact],) = Session(model).run([ids])
        kept, at = Session(model), np.arange(len(ids))
        slow = BlocksLlama(spec, tensors, exact)
        theirs[exact] = slow.forward(np.array(ids), 0 * at, at, kept.keys, kept.values, at)
    apart = {exact: np.abs(ours[exact] - theirs[exact]) for exact in ours}
    noise = np.abs(theirs[True] - theirs[False])
    assert apart[True].max() <= 1e-3
    if layers == 1:
        assert apart[False].max() <= 1e-3 < np.median(noise)
    # Of two that are as noisy, the difference is as much as √2 times that.
    assert np.median(apart[False]) <= 1.5 * np.median(noise)
