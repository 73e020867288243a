"""Latent attention: that what is absorbed is the same as what is expanded, and what is kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gptcli.engine.arrays import host
from gptcli.engine.model.rules import Rule
from gptcli.engine.torch.latents import LatentAttention
from gptcli.engine.weights.placement import Layout
from tests.engine.cpu.helpers import SETS, kernels_of
from tests.engine.helpers import SPECS, rows_of, runner_of

LATENT = [case for case, spec in SPECS.items() if spec.latents is not None]
NEAR = {"rtol": 0, "atol": 1e-5}


@pytest.mark.parametrize("case", LATENT)
@pytest.mark.parametrize("time", [1, 5])
def test_absorbed_equals_expanded(case, time):
    """Catches a matrix that is turned wrongly, or values that are taken of the wrong features."""
    torch.manual_seed(1)
    layer = runner_of(case).decoder.layers[0].attention
    assert isinstance(layer, LatentAttention)
    sizes, heads = layer.latents, layer.absorb.heads
    plain = torch.randn(2, heads, time, sizes.plain)
    turned = torch.randn(2, heads, time, sizes.turned)
    keys = torch.randn(2, 1, 9, sizes.key)
    seen = torch.ones(time, 9, dtype=torch.bool).tril(9 - time)[None, None]
    with torch.inference_mode():
        absorbed = layer.attend_absorbed(plain, turned, keys, seen)
        expanded = layer.attend_expanded(plain, turned, keys, seen)
    assert absorbed.shape == (2, heads, time, sizes.value)
    torch.testing.assert_close(absorbed, expanded, **NEAR)


@pytest.mark.parametrize("case", LATENT)
@pytest.mark.parametrize("through", ["torch", *["kernels"] * bool(SETS)])
def test_a_token_leaves_behind_one_latent_and_what_turns(case, through):
    """Catches values kept a second time, or keys of every head."""
    runner = kernels_of(case) if through == "kernels" else runner_of(case)
    state, spec = runner.new_state(), runner.spec
    runner.prefill([rows_of(case)[0]], state)
    sizes = spec.latents
    assert state.bytes == spec.layers * 4 * state.capacity * (sizes.rank + sizes.turned)
    assert spec.cache_bytes(state.capacity, 4) == state.bytes
    paged = runner.new_pages(3)
    kept = [array for layer in paged.layers for array in (layer.keys, layer.values)]
    assert [each.shape[3] for each in kept] == [sizes.key, 0] * spec.layers
    assert host(state.layers[0].keys).any()


def test_the_first_part_of_each_group_may_be_turned():
    """Catches heads that are cut at another place, or turned all together."""
    rule = Rule("b", ("k", "v"), groups=2, first_turned=True)
    layout = Layout(rule, ("b",), (("k", "v"),))
    ours = {"k": (2 * 3, 2), "v": (2 * 1, 3)}  # rows of latents of 3 features, keys of 2
    assert layout.shapes(ours) == ((6, 3),)
    stored = np.arange(18).reshape(6, 3)
    found = dict(layout.cut([stored], ours))
    np.testing.assert_array_equal(found["v"], stored[[2, 5]])
    np.testing.assert_array_equal(found["k"][:3], stored[:2].T)
    np.testing.assert_array_equal(found["k"][3:], stored[3:5].T)
    assert [rows.tolist() for rows in layout.rows(ours, 0).values()] == [[0, 1, 3, 4], [2, 5]]
