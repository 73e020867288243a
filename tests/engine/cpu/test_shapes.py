"""Layers of unequal sizes: heads, their features, and features inside the MLP."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from gptcli.engine.cpu.binding.abi import Kind, Met
from gptcli.engine.cpu.binding.coverage import covers
from gptcli.engine.cpu.packing.section import Kinds
from gptcli.engine.cpu.packing.sections import shapes
from gptcli.engine.model.layer_shape import LayerShape
from gptcli.engine.model.rotations import Rope
from gptcli.engine.model.spec import HeadNorm, LayerSpec, NormSpec
from tests.engine.cpu.helpers import Session, every_set, needs_kernels
from tests.engine.cpu.reference_forward import ReferenceForward
from tests.engine.cpu.small import SPEC, small_model, small_parameters

pytestmark = needs_kernels
#: No layer is the largest in all; each is smaller in something than the one before it, so that
#: what that one left behind would be read.
LAYERS = (
    LayerSpec(Rope(10000.0, 20)),
    LayerSpec(Rope(10000.0, 12), window=90, shape=LayerShape(9, 3, 13, 36)),
    LayerSpec(shape=LayerShape(4, 4, 40, 180)),
    LayerSpec(Rope(500.0, 10), window=70, shape=LayerShape(10, 1, 10, 20)),
)
NORM = NormSpec("rmsnorm", 1e-5)
SPECS = {
    "norms_of_heads": dataclasses.replace(
        SPEC, each_layer=LAYERS, alibi=0.5, sinks=True, head_norm=HeadNorm(NORM, "each_head")
    ),
    "norms_of_all": dataclasses.replace(SPEC, each_layer=LAYERS, head_norm=HeadNorm(NORM, "width")),
}
KINDS = {
    "float32": Kinds.all(Kind.FLOAT32),
    "bfloat16": Kinds.all(Kind.BFLOAT16),
    "int8": Kinds(Kind.Q8_0, Kind.Q8_0, Kind.BFLOAT16),
    "int4": Kinds(Kind.Q4_1, Kind.Q8_0, Kind.BFLOAT16),
}
every_kind = pytest.mark.parametrize("kind", KINDS)
TOKENS = np.random.default_rng(7).integers(0, SPEC.vocab, 140).tolist()
OTHERS = TOKENS[::-1]


def kernels(case: str, kind: str, instructions: str, met: Met) -> np.ndarray:
    """Logits after every token, run in pieces beside another row."""
    model = small_model(instructions, KINDS[kind], SPECS[case], threads=3, met=met)
    session = Session(model, batch=2, capacity=144)
    logits, at = [], 0
    # Many tokens; single ones, whose attention is split by position; both in one call.
    for first, other in ((90, 3), (1, 1), (1, 0), (30, 1), (1, 30), (17, 2)):
        pieces = TOKENS[at : at + first], OTHERS[session.lengths[1] : session.lengths[1] + other]
        logits.append(session.run(pieces)[0])
        at += first
    return np.concatenate(logits)


@functools.cache
def slow(case: str, kind: str, instructions: str = "", met: Met = Met.FLOAT32) -> np.ndarray:
    """The same in numpy; activations are rounded where these instructions round them."""
    spec = SPECS[case]
    forward = ReferenceForward(spec, small_parameters(spec), KINDS[kind], instructions, met)
    return forward.logits(TOKENS)


@every_set
@pytest.mark.parametrize("case", SPECS)
@pytest.mark.parametrize("kind", KINDS)
def test_layers_of_unequal_sizes_equal_numpy(kind, case, instructions):
    """Catches a size of another layer, or numbers that a larger layer left in memory."""
    assert covers(SPECS[case]) is None
    ours, expected = kernels(case, kind, instructions, Met.FLOAT32), slow(case, kind)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


@every_set
@pytest.mark.parametrize("kind", ["bfloat16", "int8", "int4"])
def test_unequal_sizes_with_rounded_activations(kind, instructions):
    """Catches a row's end that a larger layer left, which changes the scale of its last group.

    A value at the border between two roundings may fall to either side: so the median is held
    tightly, and the largest loosely.
    """
    case = "norms_of_all"
    alike = instructions if instructions == "avx512bf16" and kind == "bfloat16" else "portable"
    ours = kernels(case, kind, instructions, Met.INT8)
    expected = slow(case, kind, alike, Met.INT8)
    apart = np.abs(ours - expected) / np.abs(expected).max()
    assert np.median(apart) <= 1e-3
    assert apart.max() <= 0.05


def test_parameters_have_the_shapes_of_their_layers():
    """Catches weights that are asked for in the sizes of the model where a layer has its own."""
    found = shapes(SPECS["norms_of_heads"])
    assert found["layers.0.attention.query.weight"] == (120, 72)
    assert found["layers.1.attention.query.weight"] == (117, 72)
    assert found["layers.1.attention.key.weight"] == (39, 72)
    assert found["layers.1.attention.query_norm.weight"] == (9, 13)
    assert found["layers.2.attention.out.weight"] == (72, 160)
    assert found["layers.3.mlp.down.weight"] == (72, 20)
