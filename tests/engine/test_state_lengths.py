"""How long the states of mixers are, against the states themselves, token by token."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from gptcli.engine.arrays import host
from gptcli.engine.cpu.run.runner import KernelRunner
from gptcli.engine.model.mixers import Recurrence, memories
from gptcli.engine.probe import Together
from gptcli.engine.probes.state_lengths import StateLengths
from gptcli.engine.probes.streams import Streams
from gptcli.engine.runner import Runner
from gptcli.engine.torch.decoder import Decoder
from gptcli.engine.torch.runner import TorchRunner
from tests.engine.cpu.helpers import SETS, kernels_of, model_of, parameters_of
from tests.engine.helpers import SPECS, WAYS, rows_of, runner_of

CASES = [case for case in WAYS if SPECS[case].carrying]
both = pytest.mark.parametrize("through", ["torch", *SETS])


def opened(case: str, through: str) -> Runner:
    return runner_of(case) if through == "torch" else kernels_of(case, instructions=through)


def lengths_by_hand(runner: Runner, row, layer: int) -> np.ndarray:
    """After each token, from what the state then holds."""
    state, found = runner.new_state(), []
    for token in row:
        runner.decode([token], state)
        kept = state.layers[layer]
        inputs, memory = host(kept.inputs)[0], host(kept.memory)[0]
        parts = memory.reshape(len(memory), -1) if memory.size else inputs.reshape(1, -1)
        found.append(np.sqrt((parts.astype(np.float64) ** 2).sum(-1)))
    return np.stack(found)


def test_both_kinds_are_among_the_cases():
    """Catches tests that say nothing of one of them."""
    mixers = [SPECS[case].each_layer[layer_of(case)].mixer for case in CASES]
    assert {memories(mixer) > 1 for mixer in mixers} == {True, False}


def layer_of(case: str) -> int:
    """The first one that carries a state."""
    return SPECS[case].carrying[0]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("chunk", [7])
@both
def test_lengths_are_those_of_the_state(case, chunk, through):
    """Catches a block of a memory that is left out or counted twice, padding that is counted,
    lengths before a token in place of behind it, and a later chunk in the wrong place."""
    runner, row = opened(case, through), rows_of(case)[0]
    positions = range(3, len(row) - 2)
    seen = StateLengths(runner.spec, positions)
    probe = Together(seen, Streams(positions))
    logits = runner.prefill([row], runner.new_state(), chunk=chunk, probe=probe)
    assert np.array_equal(
        host(logits), host(runner.prefill([row], runner.new_state(), chunk=chunk))
    )
    for layer in runner.spec.carrying:
        expected = lengths_by_hand(runner, row, layer)[3:-2]
        assert expected.min() > 1e-4
        np.testing.assert_allclose(host(seen.of(layer)), expected, rtol=3e-5)
        assert expected.shape[1] == memories(runner.spec.each_layer[layer].mixer)


@both
def test_memories_of_several_blocks(through):
    """Catches blocks of 32 values, as the kernels take them, of which the last is left out."""
    spec = runner_of("qwen3_5_text/plain").spec
    first = spec.each_layer[0]
    assert isinstance(first.mixer, Recurrence)
    norm = replace(first.mixer.norm, size=72)
    mixer = replace(first.mixer, value_dim=72, norm=norm)
    decoder = Decoder(replace(spec, each_layer=(replace(first, mixer=mixer), *spec.each_layer[1:])))
    torch.manual_seed(2)
    for parameter in decoder.requires_grad_(False).parameters():
        parameter.normal_(std=0.3)
    runner = TorchRunner(decoder)
    if through != "torch":
        model = model_of(decoder.spec, parameters_of(decoder), through)
        runner = KernelRunner(model, decoder.spec, "float32", 48)
    row = rows_of("qwen3_5_text/plain")[0][:9]
    seen = StateLengths(runner.spec, range(9))
    runner.prefill([row], runner.new_state(), probe=seen)
    np.testing.assert_allclose(host(seen.of(0)), lengths_by_hand(runner, row, 0), rtol=3e-5)


@pytest.mark.parametrize("case", CASES)
@both
def test_the_first_layer_s_are_the_same_everywhere(case, through):
    """Catches memories in another order in the kernels: nothing stands before the first layer."""
    row, found = rows_of(case)[0], []
    layer = layer_of(case)
    for each in (runner_of(case), opened(case, through)):
        seen = StateLengths(each.spec, range(len(row)))
        each.prefill([row], each.new_state(), probe=seen)
        found.append(host(seen.of(layer)))
    np.testing.assert_allclose(*found, rtol=1e-4)
