"""Room for keys and values in the kernels: grown layer by layer, and interrupted on the way."""

from __future__ import annotations

import weakref

import numpy as np
import pytest

from gptcli.engine.asking.prefix import PrefixCache
from gptcli.engine.cpu.binding.abi import Kind
from gptcli.engine.cpu.packing.section import Kinds
from gptcli.engine.cpu.run.runner import KernelRunner
from tests.engine.cpu.helpers import SETS, needs_kernels
from tests.engine.cpu.small import SPEC, small_model

pytestmark = needs_kernels
TEXT = [int(i) for i in np.random.default_rng(1).integers(0, SPEC.vocab, 60)]


@pytest.fixture(params=["float32", "bfloat16"])
def runner(request) -> KernelRunner:
    kind = Kind.FLOAT32 if request.param == "float32" else Kind.BFLOAT16
    model = small_model(SETS[0], Kinds.all(kind), threads=1)
    return KernelRunner(model, SPEC, request.param, SPEC.context)


def test_growth_that_was_interrupted_goes_on(runner, monkeypatch):
    """Catches layers of unlike room, which the kernels refuse, where the next text needs less."""
    monkeypatch.setattr("gptcli.engine.state.model_state.GROWTH", 16)
    prefix = PrefixCache(runner)
    prefix.prefill(TEXT[:12])
    last = prefix.state.layers[-1]

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(last, "reserve", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prefix.prefill(TEXT[:40])
    for end in (9, 40):
        expected = runner.prefill([TEXT[:end]], runner.new_state())
        np.testing.assert_allclose(prefix.prefill(TEXT[:end]), expected, atol=2e-5)


def test_a_layer_that_has_grown_lets_go_of_what_it_had(runner, monkeypatch):
    """Catches pointers for the kernels that keep every layer twice while a state grows."""
    monkeypatch.setattr("gptcli.engine.state.model_state.GROWTH", 16)
    state = runner.new_state()
    runner.prefill([TEXT[:12]], state)
    last = state.layers[-1]
    old = [weakref.ref(array) for layer in state.layers for array in (layer.keys, layer.values)]
    alive: list[int] = []
    reserve = last.reserve

    def counted(*given):
        alive.append(sum(each() is not None for each in old))
        reserve(*given)

    monkeypatch.setattr(last, "reserve", counted)
    logits = runner.prefill([TEXT[12:40]], state)
    assert alive == [2] and all(each() is None for each in old)
    expected = runner.prefill([TEXT[:40]], runner.new_state())
    np.testing.assert_allclose(logits, expected, atol=2e-5)
