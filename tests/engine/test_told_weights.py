"""Numbers of parameters as runners tell them: row by row, as they compute."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gptcli.engine.arrays import host
from gptcli.types.compute import AdapterRef
from tests.engine.cpu import test_checkpoints
from tests.engine.cpu.helpers import kernels_of, needs_kernels
from tests.engine.helpers import GOLDENS, every_way, runner_of
from tests.engine.weights import adapters
from tests.opening import load, open_runner


@needs_kernels
@every_way
def test_kernels_tell_what_torch_does(case):
    """Catches rows of another parameter, a norm without what is added to its weight, and columns,
    tables or filters that stand otherwise in packed memory."""
    exact, packed = runner_of(case), kernels_of(case)
    names = dict(exact.shapes())
    for name, shape in names.items():
        rows = [shape[0] - 1, 0]
        theirs, ours = exact.weights(name, rows), packed.weights(name, rows)
        assert np.array_equal(host(ours), host(theirs)), name
        assert tuple(packed.weights(name).shape) == shape
        part = packed.weights(name, range(shape[0] // 2, shape[0]))
        assert np.array_equal(part, host(exact.weights(name))[shape[0] // 2 :]), name
    head = "unembedding.weight"
    assert np.array_equal(packed.weights(head, [3]), host(exact.weights(head, [3])))
    for none in ("layers.0.nothing.weight", "nothing", "final_norm.weights"):
        assert exact.weights(none) is None and packed.weights(none) is None
    with pytest.raises(ValueError):
        packed.weights("embedding.weight", [exact.spec.vocab])


@pytest.mark.parametrize("name", ["rank_pattern", "all-linear"])
def test_adapters_are_told_with_the_weights(name, tmp_path):
    """Catches an adapter that stands apart and is left out of its rows."""
    case, _ = adapters.ADAPTERS[name]
    ref = AdapterRef(adapters.make(name, tmp_path / "adapter"))
    opened = [
        load(GOLDENS / case, device="cpu", dtype="float32", adapter=(ref,), adapter_apart=apart)
        for apart in (False, True)
    ]
    plain = runner_of(case).weights("layers.1.attention.out.weight")
    for rows in (None, [5, 1], range(2, 7)):
        one, other = (each.weights("layers.1.attention.out.weight", rows) for each in opened)
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    assert (opened[1].weights("layers.1.attention.out.weight") - plain).abs().max() > 0.01
    if "linear" in name:
        bias = opened[1].weights("layers.1.attention.out.bias", [2])
        assert torch.equal(bias, runner_of(case).weights("layers.1.attention.out.bias", [2]))


@needs_kernels
@pytest.mark.parametrize("case", ["gptq-order", "w4a16-order", "nvfp4"])
def test_codes_are_told_in_the_order_of_the_checkpoint(case):
    """Catches columns that stay in the order of their groups, and a scale of all that is lost."""
    directory = test_checkpoints.made(case)
    packed = open_runner(directory, device="cpu", dtype="auto")
    exact = load(directory, device="cpu", dtype="float32")
    assert ("layers.0.attention.out.order" in packed.model.packed.places) == ("order" in case)
    for name in ("layers.0.attention.out.weight", "layers.1.mlp.down.weight"):
        ours, theirs = packed.weights(name), host(exact.weights(name))
        np.testing.assert_allclose(host(ours), theirs, rtol=1e-5, atol=2**-20)
