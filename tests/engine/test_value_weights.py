"""Attention weights times the lengths of what values become, against loops over vectors."""

from __future__ import annotations

import numpy as np
import pytest

from gptcli.engine.arrays import host
from gptcli.engine.points import heads_of
from gptcli.engine.probe import Together
from gptcli.engine.probes import value_weights as module
from gptcli.engine.probes.attention import AttentionWeights
from gptcli.engine.probes.value_weights import ValueWeights, has_lengths
from gptcli.engine.runner import Runner
from tests.engine.cpu.helpers import SETS, kernels_of
from tests.engine.helpers import SPECS, STATES, Recorder, few_of, rows_of, runner_of

both = pytest.mark.parametrize("through", ["torch", *["kernels"] * bool(SETS)])
#: Those that have attention.
ATTENDING = [case for case, spec in SPECS.items() if spec.attending]


def runner_through(through: str, case: str) -> Runner:
    return kernels_of(case) if through == "kernels" else runner_of(case)


def values_of(runner: Runner, there: dict, layer: int) -> np.ndarray:
    """Of each head its values of all tokens, (heads, total, size)."""
    spec, (count, size) = runner.spec, heads_of(runner.spec, layer)
    if spec.latents is not None:
        latents = host(there["keys", layer])[0, 0, :, : spec.latents.rank]
        made = host(runner.weights(f"layers.{layer}.attention.value.weight"))
        return np.array([latents @ each.T for each in made.reshape(count, size, -1)])
    values = host(there["values", layer])[0]
    return values.repeat(count // len(values), axis=0)


@few_of(ATTENDING, STATES)
@both
def test_values_are_those_that_heads_gather(case, through):
    """Catches values of other positions, heads or layers, and those before their norm."""
    runner, row = runner_through(through, case), rows_of(case)[0][:20]
    seen, recorder = AttentionWeights(runner, range(20)), Recorder(range(20))
    runner.prefill([row], runner.new_state(), chunk=7, probe=Together(seen, recorder))
    there = recorder.by_place
    for layer in runner.spec.attending:
        gathered = np.matmul(host(seen.of(layer)), values_of(runner, there, layer))
        found = host(there["heads", layer])[0]
        last = gathered[:, -len(found) :].swapaxes(0, 1).reshape(len(found), -1)
        if has_lengths(runner.spec):
            np.testing.assert_allclose(found, last, rtol=0, atol=2e-5)
        else:
            assert np.abs(found - last).max() > 1e-3


@few_of([case for case in ATTENDING if has_lengths(SPECS[case])], STATES)
@both
def test_weights_are_times_lengths(case, through, monkeypatch):
    """Catches columns of another head, values that other heads share, and a window or chunk whose
    keys are weighed by the lengths of others."""
    monkeypatch.setattr(module, "_POSITIONS", 5)
    monkeypatch.setattr(module, "_BYTES", 4 * 7 * 24)
    runner, row, window = runner_through(through, case), rows_of(case)[0][:20], range(9, 17)
    plain, found = AttentionWeights(runner, window), ValueWeights(runner, window, first_key=3)
    recorder = Recorder(range(20))
    probe = Together(plain, found, recorder)
    runner.prefill([row], runner.new_state(), chunk=7, probe=probe)
    for layer in runner.spec.attending:
        values = values_of(runner, recorder.by_place, layer)
        _, size = heads_of(runner.spec, layer)
        out = host(runner.weights(f"layers.{layer}.attention.out.weight"))
        gain = runner.weights(f"layers.{layer}.attention_post_norm.weight")
        if gain is not None:
            assert runner.spec.norm.kind == "rmsnorm"
            out = np.diag(host(gain).ravel()) @ out
        alone = host(plain.of(layer))
        want = np.zeros_like(alone)
        for head, query, key in np.ndindex(*alone.shape):
            given = out[:, head * size : (head + 1) * size] @ values[head, key]
            want[head, query, key] = alone[head, query, key] * np.linalg.norm(given)
        np.testing.assert_allclose(host(found.of(layer)), want[..., 3:], rtol=1e-4, atol=1e-6)
        before = want[..., :3].sum(-1)
        np.testing.assert_allclose(host(found.before(layer)), before, rtol=1e-4, atol=1e-6)
