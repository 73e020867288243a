"""The default model runs from the blocks of its GGUF file, as the gguf package reads them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest

from gptcli.engine.cpu import opening
from gptcli.engine.cpu.binding.abi import Met
from gptcli.engine.cpu.binding.library import open_library
from gptcli.engine.cpu.choice import choose
from gptcli.engine.cpu.packing.memory import PackedWeights
from gptcli.engine.cpu.packing.pack import pack
from gptcli.engine.cpu.run.model import KernelModel
from gptcli.engine.describe import describe
from gptcli.engine.model.spec import ModelSpec
from tests.engine.cpu import stages
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
    choice = choose(described, "auto")
    assert choice is not None and choice.name == "q4_1+q8_0"
    return opening._packed(described, choice, 64, 2)[0]


@pytest.fixture(scope="module")
def tensors(default_gguf: Path) -> dict[str, gguf.ReaderTensor]:
    return {each.name: each for each in gguf.GGUFReader(default_gguf).tensors}


def published(rows: np.ndarray, heads: int) -> np.ndarray:
    """Rows of queries or keys as published: llama.cpp's converter interleaves a head's halves."""
    if not heads:
        return rows
    return rows.reshape(heads, -1, 2, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)


class Blocks(dict[str, np.ndarray]):
    """Our names → what the gguf package makes of the file's blocks, which takes it long: of those
    that are asked for.
    """

    def __init__(self, tensors: dict[str, gguf.ReaderTensor]) -> None:
        self.tensors = tensors

    def __missing__(self, name: str) -> np.ndarray:
        found = self._numbers(name.removesuffix(".weight"))
        self[name] = found
        return found

    def _numbers(self, ours: str) -> np.ndarray:
        if ours == "unembedding":
            return self["embedding.weight"]
        whole = {"embedding": "token_embd", "final_norm": "output_norm"}
        if ours in whole:
            return self._stored(whole[ours])
        _, layer, ours = ours.split(".", 2)
        if ours in NORMS:
            return self._stored(f"blk.{layer}.{NORMS[ours]}")
        theirs, heads = MATRICES[ours]
        return published(self._stored(f"blk.{layer}.{theirs}"), heads)

    def _stored(self, name: str) -> np.ndarray:
        tensor = self.tensors[f"{name}.weight"]
        return gguf.quants.dequantize(tensor.data, tensor.tensor_type)


@pytest.fixture(scope="module")
def blocks(tensors: dict[str, gguf.ReaderTensor]) -> Blocks:
    return Blocks(tensors)


@pytest.mark.parametrize("layers", [4, pytest.param(30, marks=pytest.mark.slow)])
def test_numbers_are_bit_for_bit_the_files(packed, spec, blocks, layers):
    """Catches a default model that was quantised again, or one of its blocks at another place.

    Of few layers the last ones: what is at another place shifts what comes behind it.
    """
    skipped = tuple(f"layers.{layer}." for layer in range(spec.layers - layers))
    compared = 0
    for name, (section, at) in packed.places.items():
        if section.form != "matrix" or name.startswith(skipped):
            continue
        wanted = blocks[name]
        which = np.arange(section.rows)
        ours = stages.read("portable", packed.memory[at:], section.kind, which, wanted.shape)
        assert np.array_equal(ours.view(np.uint32), wanted.view(np.uint32)), name
        compared += 1
    # The head is the embedding: that is there once.
    assert compared == 7 * layers + 1


class BlocksLlama(NumpyLlama):
    """A Llama by its formulas, whose weights are those of the file's blocks.

    met: as what they meet activations.
    """

    def __init__(self, spec: ModelSpec, blocks: Blocks, met: Met) -> None:
        self.spec, self.met, self.calls = replace(spec, tied=False), met, []
        self.weights = blocks

    def _linear(self, x: np.ndarray, name: str) -> np.ndarray:
        return super()._linear(self._met(x), name)

    def _norm(self, x: np.ndarray, name: str) -> np.ndarray:
        found = super()._norm(x, name)
        return self._met(found) if name == "final_norm" else found

    def _met(self, x: np.ndarray) -> np.ndarray:
        return rounded_activations(x, self.met)


@pytest.mark.parametrize("layers", [1, pytest.param(30, marks=pytest.mark.slow)])
def test_logits_are_those_of_a_slow_reference(packed, spec, blocks, default_model, layers):
    """Catches arithmetic that strays, at sizes that tiny models do not have.

    Where activations are rounded to 8 bits, a last bit that differs takes some number to the
    other side of a border, which in the next layer takes many: after a few layers two ways to add
    up are as far apart as either is from what is not rounded. So rounding is held to the numbers
    in the first layer, and to its own noise after all of them.
    """
    from gptcli.text.tokenizer import Tokenizer

    ids = Tokenizer(default_model).encode(PROMPT)
    weights = parameters(default_model, exact=True)
    spec = replace(spec, each_layer=spec.each_layer[:layers])
    packed = pack(spec, packed.kinds, weights, open_library())
    ours, theirs = {}, {}
    for met in Met:
        model = KernelModel(packed, open_library(), threads=2, met=met)
        (ours[met],) = Session(model).run([ids])
        if met is Met.INT16:
            # Held to what is not rounded.
            continue
        kept, at = Session(model), np.arange(len(ids))
        slow = BlocksLlama(spec, blocks, met)
        theirs[met] = slow.forward(np.array(ids), 0 * at, at, kept.layers, at)
    apart = {met: np.abs(ours[met] - theirs[met]) for met in theirs}
    noise = np.abs(theirs[Met.FLOAT32] - theirs[Met.INT8])
    assert apart[Met.FLOAT32].max() <= 1e-3
    # Sixteen bits round by a 258th of what eight do.
    assert np.median(np.abs(ours[Met.INT16] - theirs[Met.FLOAT32])) <= np.median(noise) / 100
    if layers == 1:
        # A number at the border between two roundings takes along those of its token, and of all
        # that attend to it: the first tokens come before any.
        assert np.median(apart[Met.INT8], axis=1).min() <= 1e-4 < np.median(noise, axis=1).min()
    # Of two that are as noisy, the difference is as much as √2 times that.
    assert np.median(apart[Met.INT8]) <= 1.5 * np.median(noise)
