"""Packed matrices times activations, for every kind of weights, against numpy."""

from __future__ import annotations

import gguf
import numpy as np
import pytest
from gguf import quants
from hypothesis import given, settings
from hypothesis import strategies as st

from gptcli.engine.cpu.binding.abi import KEEPING, Form, Kind
from tests.engine.cpu import reference, stages
from tests.engine.cpu.helpers import every_set, needs_kernels

pytestmark = needs_kernels
every_kind = pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.name)
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
@pytest.mark.parametrize("exact", [False, True])
@settings(max_examples=60, deadline=None)
@given(shape=shapes, seed=seeds)
def test_products_equal_numpy(shape, seed, kind, exact, instructions):
    """Catches a wrong lane, tail, scale, zero point or padding in a layout or its kernel."""
    rows, columns, count = shape
    weights, x = numbers(seed, rows, columns), numbers(seed + 1, count, columns)
    panels = stages.packed(weights, columns, kind, Form.FLOAT32)
    ours = stages.product(instructions, panels, kind, rows, x, exact=exact)
    expected = reference.product(x, weights, kind.name, instructions, exact=exact)
    sizes = np.abs(weights).max(1) * np.abs(x).sum(1)[:, None]
    near(ours, expected, sizes)


@every_set
@every_kind
def test_a_token_gives_the_same_bytes_alone_and_among_others(kind, instructions):
    """Catches sums whose order depends on how many tokens share a load of the weights."""
    weights, x = numbers(1, 48, 320), numbers(2, 13, 320)
    panels = stages.packed(weights, 320, kind, Form.FLOAT32)
    together = stages.product(instructions, panels, kind, 48, x)
    alone = [stages.product(instructions, panels, kind, 48, row[None])[0] for row in x]
    np.testing.assert_array_equal(together, np.stack(alone))


@every_set
@every_kind
def test_any_number_of_tokens_fits(kind, instructions):
    """Catches an array of fixed length that more tokens overflow, with some sets sooner."""
    weights, x = numbers(1, 16, 64), numbers(2, 100, 64)
    panels = stages.packed(weights, 64, kind, Form.FLOAT32)
    together = stages.product(instructions, panels, kind, 16, x)
    parts = [
        stages.product(instructions, panels, kind, 16, x[at : at + 7]) for at in range(0, 100, 7)
    ]
    np.testing.assert_array_equal(together, np.concatenate(parts))


@pytest.mark.parametrize("form", [Form.BFLOAT16, Form.FLOAT16])
@every_kind
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
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(("form", "kind"), KEEPING.items())
def test_gguf_blocks_keep_their_numbers(form, kind, exact, instructions):
    """Catches quantising anew, swapped halves of a byte, or a zero point in the wrong place.

    Bytes are random, so all whole numbers are met, also -128, which no encoder writes.
    """
    random = np.random.default_rng(form)
    rows, columns = 35, 320
    name = gguf.GGMLQuantizationType[form.name]
    size = {Form.Q8_0: 34, Form.Q4_0: 18, Form.Q4_1: 20}[form]
    raw = random.integers(0, 256, (rows, columns // 32, size), dtype=np.uint8)
    for at in range(0, 4 if form is Form.Q4_1 else 2, 2):
        halves = random.normal(size=raw.shape[:2]).astype(np.float16)
        raw[..., at : at + 2] = halves[..., None].view(np.uint8)
    raw = raw.reshape(rows, -1)
    weights = quants.dequantize(raw, name).astype(np.float64)
    x = numbers(9, 5, columns)
    panels = stages.packed(raw, columns, kind, form)
    ours = stages.product(instructions, panels, kind, rows, x, exact=exact)
    seen = x.astype(np.float64) if exact else reference.rounded_activations(x)
    near(ours, seen @ weights.T, np.abs(weights).max(1) * np.abs(x).sum(1)[:, None])


@pytest.mark.parametrize("form", [Form.Q8_0, Form.Q4_0, Form.Q4_1])
@pytest.mark.parametrize("kind", [Kind.FLOAT32, Kind.BFLOAT16])
def test_gguf_blocks_become_floats(form, kind):
    """Catches a block read wrongly where the kernels are asked for floats."""
    wide = numbers(3, 20, 96)
    raw = quants.quantize(wide, gguf.GGMLQuantizationType[form.name])
    floats = quants.dequantize(raw, gguf.GGMLQuantizationType[form.name])
    ours = stages.packed(raw, 96, kind, form)
    np.testing.assert_array_equal(ours, stages.packed(floats, 96, kind, Form.FLOAT32))


@every_set
@pytest.mark.parametrize("kind", [Kind.INT8, Kind.INT4])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_not_lost(bad, kind, instructions):
    """Catches rounding to 8 bits turning a broken activation into an ordinary number."""
    x = numbers(4, 1, 96)
    x[0, 40] = bad
    panels = stages.packed(numbers(5, 16, 96), 96, kind, Form.FLOAT32)
    assert not np.isfinite(stages.product(instructions, panels, kind, 16, x)).any()
