"""Packed matrices times activations, for every kind of weights, against numpy."""

from __future__ import annotations

import dataclasses

import gguf
import numpy as np
import pytest
from gguf import quants
from hypothesis import given, settings
from hypothesis import strategies as st

from gptcli.engine.cpu.binding.abi import FLOATS, Form, Kind, Met
from gptcli.engine.cpu.binding.library import open_library
from gptcli.engine.cpu.packing import pack as pack_module
from gptcli.engine.cpu.packing.pack import GgmlBlocks, Parameter, pack
from gptcli.engine.cpu.packing.section import Kinds
from tests.engine.cpu import codes, ggml, reference, stages
from tests.engine.cpu.helpers import every_set, needs_kernels
from tests.engine.cpu.small import SPEC, small_parameters
from tests.sweeps import in_turn

pytestmark = needs_kernels
#: Those that floats are packed into.
FROM_FLOATS = [*FLOATS, Kind.Q8_0, Kind.Q4_1]
CODED = [kind for kind in Kind if kind not in FLOATS]


def name_of(kind: Kind) -> str:
    return kind.name


every_kind = pytest.mark.parametrize("kind", FROM_FLOATS, ids=name_of)
every_coded_kind = pytest.mark.parametrize("kind", CODED, ids=name_of)
every_met = pytest.mark.parametrize("met", list(Met), ids=lambda met: met.name)
shapes = st.tuples(st.integers(1, 70), st.integers(1, 300), st.integers(1, 14))
seeds = st.integers(0, 2**32 - 1)


def near(ours: np.ndarray, expected: np.ndarray, magnitude: np.ndarray) -> None:
    """Within a few roundings of the sum of all products' sizes."""
    assert (np.abs(ours - expected) <= 2e-6 * magnitude + 1e-30).all()


def numbers(seed: int, *shape: int) -> np.ndarray:
    """Random, of sizes that differ from column to column, with some rows of zeros."""
    random = np.random.default_rng(seed)
    x = random.normal(size=shape) * np.exp(random.normal(size=shape[-1]))
    x[random.random(shape[0]) < 0.05] = 0
    return x.astype(np.float32)


@every_set
@every_kind
@every_met
@settings(max_examples=20, deadline=None)
@given(shape=shapes, seed=seeds)
def test_products_equal_numpy(shape, seed, kind, met, instructions):
    """Catches a wrong lane, tail, scale, zero point or padding in a layout or its kernel."""
    rows, columns, count = shape
    weights, x = numbers(seed, rows, columns), numbers(seed + 1, count, columns)
    panels = stages.packed(weights, columns, kind, Form.FLOAT32)
    ours = stages.product(instructions, panels, kind, rows, x, met)
    expected = reference.product(x, weights, kind.name, instructions, met)
    sizes = np.abs(weights).max(1) * np.abs(x).sum(1)[:, None]
    near(ours, expected, sizes)


def panels_of(kind: Kind, rows: int, columns: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A packed matrix, and its numbers as the gguf package has them."""
    if kind in FLOATS:
        weights = numbers(seed, rows, columns)
        stored = reference.stored(weights, kind.name)
        return stages.packed(weights, columns, kind, Form.FLOAT32), stored
    if kind in codes.KINDS:
        raw, weights = codes.blocks(kind, rows, columns, seed)
        return stages.packed(raw, columns, kind, kind), weights
    raw = ggml.blocks(kind, rows, columns, seed)
    weights = quants.dequantize(raw, gguf.GGMLQuantizationType[kind.name])
    return stages.packed(raw, columns, kind, kind), weights


@every_set
@in_turn("met", Met)
@pytest.mark.parametrize("kind", list(Kind), ids=name_of)
def test_a_token_gives_the_same_bytes_alone_and_among_others(kind, met, instructions):
    """Catches sums whose order depends on how many tokens share a load of the weights."""
    panels, x = panels_of(kind, 48, 512)[0], numbers(2, 59, 512)
    together = stages.product(instructions, panels, kind, 48, x, met)
    alone = [stages.product(instructions, panels, kind, 48, row[None], met)[0] for row in x]
    np.testing.assert_array_equal(together, np.stack(alone))


@every_set
@in_turn("met", Met)
@pytest.mark.parametrize("kind", list(Kind), ids=name_of)
def test_any_number_of_tokens_fits(kind, met, instructions):
    """Catches an array of fixed length that more tokens overflow, with some sets sooner."""
    panels, x = panels_of(kind, 48, 256)[0], numbers(2, 100, 256)
    together = stages.product(instructions, panels, kind, 48, x, met)
    parts = [
        stages.product(instructions, panels, kind, 48, x[at : at + 7], met)
        for at in range(0, 100, 7)
    ]
    np.testing.assert_array_equal(together, np.concatenate(parts))


@pytest.mark.parametrize("form", [Form.BFLOAT16, Form.FLOAT16])
@pytest.mark.parametrize("kind", FLOATS, ids=name_of)
def test_half_types_pack_as_the_floats_they_are(kind, form):
    """Catches reading bfloat16 as float16, or rounding numbers that are exact already."""
    wide = numbers(5, 40, 100)
    half = wide.astype(np.float16)
    if form is Form.BFLOAT16:
        half = (wide.view(np.uint32) >> 16).astype(np.uint16)
        same = (half.astype(np.uint32) << 16).view(np.float32)
    else:
        same = half.astype(np.float32)
    ours = stages.packed(half, 100, kind, form)
    np.testing.assert_array_equal(ours, stages.packed(same, 100, kind, Form.FLOAT32))


@every_set
@every_coded_kind
def test_blocks_are_kept_bit_for_bit(kind, instructions):
    """Catches a code, scale or minimum at another place, and a number that is rounded anew.

    Bytes are random, so all whole numbers are met, also those that no encoder writes.
    """
    rows, columns = 35, 768
    panels, expected = panels_of(kind, rows, columns)
    which = np.random.default_rng(0).permutation(rows)
    ours = stages.read(instructions, panels, kind, which, (rows, columns))
    np.testing.assert_array_equal(ours, expected[which])


@every_set
@every_coded_kind
@every_met
@in_turn("columns", [256, 320, 1280])
@in_turn("count", [1, 5, 50])
def test_products_of_blocks(kind, met, columns, count, instructions):
    """Catches a wrong order of columns, scale, offset or minimum, alone or in any span."""
    if columns % block_of(kind):
        return
    panels, weights = panels_of(kind, 35, columns)
    x = numbers(9, count, columns)
    ours = stages.product(instructions, panels, kind, 35, x, met)
    seen = reference.met_by(x, kind.name, instructions, met)
    expected = seen @ weights.T.astype(np.float64)
    # Codes are summed before what stands for zero is taken off them.
    sizes = (np.abs(weights).max(1) + np.ptp(weights, axis=1)) * np.abs(x).sum(1)[:, None]
    near(ours, expected, sizes)


def block_of(kind: Kind) -> int:
    """Columns of a block."""
    if kind in codes.KINDS:
        return codes.size_of(kind)
    return int(gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind.name]][0])


@every_set
@pytest.mark.parametrize("kind", [Kind.NVFP4, Kind.AFFINE4_64, Kind.FLOAT8], ids=name_of)
@every_met
def test_a_matrix_has_a_scale_and_an_order(kind, met, instructions):
    """Catches a scale that is left out, and columns that meet what others should."""
    panels, weights = panels_of(kind, 35, 256)
    x, scale = numbers(9, 5, 256), 0.37
    order = np.random.default_rng(1).permutation(256).astype(np.int32)
    ours = stages.product(instructions, panels, kind, 35, x, met, order, scale)
    seen = reference.met_by(x[:, order], kind.name, instructions, met)
    sizes = (np.abs(weights).max(1) + np.ptp(weights, axis=1)) * np.abs(x).sum(1)[:, None]
    near(ours, scale * seen @ weights.T.astype(np.float64), sizes)
    read = stages.read(instructions, panels, kind, np.arange(35), (35, 256), scale)
    np.testing.assert_array_equal(read, weights * np.float32(scale))


@every_set
@pytest.mark.parametrize("kind", [each for each in CODED if each is not Kind.FLOAT8], ids=name_of)
def test_activations_of_16_bits_are_nearly_exact(kind, instructions):
    """Catches rounding that shows: an error beyond a hundredth of that of 8 bits."""
    panels, weights = panels_of(kind, 64, 2048)
    x = numbers(3, 20, 2048)
    exact = x.astype(np.float64) @ weights.T.astype(np.float64)
    apart = {
        met: np.abs(stages.product(instructions, panels, kind, 64, x, met) - exact) for met in Met
    }
    largest = np.abs(exact).max()
    assert apart[Met.FLOAT32].max() <= 1e-5 * largest
    assert apart[Met.INT16].max() <= 1e-4 * largest
    assert apart[Met.INT16].mean() <= 0.01 * apart[Met.INT8].mean()


@every_coded_kind
def test_what_does_not_become_a_kind_is_refused(kind):
    """Catches memory that is left as it was, and taken for weights."""
    functions = open_library("portable").functions
    other = next(each for each in CODED if each is not kind)
    panels = np.zeros(functions.kernels_panel_bytes(kind, 256), np.uint8)
    rows = np.zeros((16, 1024), np.uint8)
    at, to = rows.ctypes.data, panels.ctypes.data
    assert functions.kernels_pack(kind, other, at, 1024, 16, 256, to, len(panels), 1)


@every_set
@pytest.mark.parametrize("kind", [Kind.Q8_0, Kind.Q4_1])
@every_met
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_not_lost(bad, kind, met, instructions):
    """Catches rounding that turns a broken activation into an ordinary number."""
    x = numbers(4, 1, 96)
    x[0, 40] = bad
    panels = stages.packed(numbers(5, 16, 96), 96, kind, Form.FLOAT32)
    assert not np.isfinite(stages.product(instructions, panels, kind, 16, x, met)).any()


@pytest.mark.parametrize("form", [Form.Q8_0, Form.Q4_1, Form.Q4_K, Form.Q6_K])
@pytest.mark.parametrize("kind", [Kind.FLOAT32, Kind.BFLOAT16])
def test_blocks_become_floats(form, kind, monkeypatch):
    """Catches a block read wrongly, or rows at another place, where floats are asked for."""
    monkeypatch.setattr(pack_module, "_AT_ONCE", 1 << 14)  # some panels at a time
    spec = dataclasses.replace(SPEC, width=256, heads=4, head_dim=64, hidden=512, vocab=160)
    blocks: dict[str, Parameter] = {}
    floats: dict[str, Parameter] = dict(small_parameters(spec))
    for name, numbers_ in floats.items():
        if numbers_.shape[1:]:
            raw = ggml.blocks(form, *numbers_.shape, seed=len(name))
            blocks[name] = GgmlBlocks(raw, form)
            floats[name] = quants.dequantize(raw, gguf.GGMLQuantizationType[form.name])
        else:
            blocks[name] = numbers_
    library, kinds = open_library("portable"), Kinds.all(kind)
    ours, theirs = (pack(spec, kinds, each, library) for each in (blocks, floats))
    np.testing.assert_array_equal(ours.memory[: ours.size], theirs.memory[: theirs.size])
