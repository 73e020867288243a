"""Norms, activations and angles by themselves, against torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from gptcli.engine.cpu.binding.abi import ACTIVATIONS
from gptcli.engine.model import angles
from gptcli.engine.model.rotations import (
    DynamicScaling,
    LinearScaling,
    Llama3Scaling,
    LongRopeScaling,
    Rope,
    YarnScaling,
)
from gptcli.engine.torch import masks, rope
from gptcli.engine.torch.mlp import ACTIVATIONS as OURS
from tests.engine.cpu import stages
from tests.engine.cpu.helpers import every_set, needs_kernels

WIDE = np.concatenate(
    (np.linspace(-100, 100, 20001), np.linspace(-8, 8, 16001), [0.0, -0.0, 1e-30, -1e-30])
).astype(np.float32)


@needs_kernels
@every_set
@pytest.mark.parametrize("layernorm", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 200), seed=st.integers(0, 2**32 - 1), mean=st.floats(-50, 50))
def test_norms_equal_torch(n, seed, mean, layernorm, bias, instructions):
    """Catches a tail that counts, a mean of the wrong number, eps in the wrong place."""
    random = np.random.default_rng(seed)
    x, weight, add = random.normal(size=(3, n)).astype(np.float32)
    x += np.float32(mean)
    ours = stages.normalise(
        instructions, x, weight, add if bias else None, layernorm=layernorm, eps=1e-3
    )
    wide, w, b = (torch.from_numpy(a).double() for a in (x, weight, add))
    extra = b if bias else torch.zeros(n, dtype=torch.double)
    if layernorm:
        expected = F.layer_norm(wide, (n,), w, extra, 1e-3)
    else:
        expected = F.rms_norm(wide, (n,), w, 1e-3) + extra
    # Subtracting a mean m from float32 numbers is exact to m · 2^-24; eps keeps 1 / std small.
    size = 3e-6 * (1 + np.abs(weight) * (4 + (40 * abs(mean) if layernorm else 0)))
    assert (np.abs(ours - expected.numpy()) <= size).all()


@needs_kernels
@every_set
@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_activations_equal_torch(name, instructions):
    """Catches a wrong constant, or a tail that overflows far from zero."""
    ours = stages.activate(instructions, WIDE, ACTIVATIONS[name])
    expected = OURS[name](torch.from_numpy(WIDE).double()).numpy()
    np.testing.assert_allclose(ours, expected, rtol=3e-6, atol=5e-7)


@needs_kernels
@every_set
def test_exp_and_tanh_equal_torch(instructions):
    """Catches a polynomial that is off: all of attention goes through it."""
    some = WIDE[(WIDE > -87) & (WIDE < 88)]
    ours = stages.activate(instructions, some, -1)
    np.testing.assert_allclose(ours, np.exp(some.astype(np.float64)), rtol=3e-7)
    ours = stages.activate(instructions, WIDE, -2)
    np.testing.assert_allclose(ours, np.tanh(WIDE.astype(np.float64)), rtol=0, atol=2e-7)
    for which in (-1, -2, *ACTIVATIONS.values()):
        assert np.isnan(stages.activate(instructions, np.full(3, np.nan, np.float32), which)).all()


ROPES = [
    Rope(10000.0, 64),
    Rope(500000.0, 128, interleaved=True),
    Rope(10000.0, 32, LinearScaling(4.0)),
    Rope(500000.0, 64, Llama3Scaling(8.0, 1.0, 4.0, 256)),
    Rope(150000.0, 64, YarnScaling(32.0, 64, 1.34, truncate=False)),
    Rope(10000.0, 96, YarnScaling(4.0, 128, 1.1)),
    Rope(10000.0, 64, DynamicScaling(2.0, 256)),
    Rope(10000.0, 8, LongRopeScaling((1.0, 1.1, 1.2, 1.3), (1.0, 2.0, 4.0, 8.0), 256, 1.2)),
]


@pytest.mark.parametrize("each", ROPES, ids=lambda r: type(r.scaling).__name__)
@pytest.mark.parametrize("context", [200, 2000])
def test_angles_equal_those_of_torch(each, context):
    """Catches the numpy twin drifting from rope.py in any of the scalings."""
    frequencies = rope.inverse_frequencies(each, torch.device("cpu"), context)
    ours = angles.inverse_frequencies(each, context)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, frequencies.numpy(), rtol=3e-7)
    at = torch.arange(context)
    cos, sin = rope.angles(frequencies, at, torch.float32, rope.amplitude(each))
    tables = angles.angles(each, context, context)
    # A frequency that differs in its last bit turns by this much at the last position.
    for mine, theirs in zip(tables, (cos[0, 0], sin[0, 0]), strict=True):
        np.testing.assert_allclose(mine, theirs.numpy(), rtol=0, atol=3e-7 * context)


@pytest.mark.parametrize("heads", [1, 2, 3, 8, 12, 16, 71])
def test_slopes_equal_those_of_torch(heads):
    """Catches the numpy twin of ALiBi's slopes being wrong for no power of two."""
    expected = masks.slopes(heads, torch.device("cpu")).numpy()
    np.testing.assert_allclose(angles.slopes(heads), expected, rtol=1e-6)
