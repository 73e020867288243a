"""Probes of the rows of a batch, against each row by itself."""

from __future__ import annotations

import numpy as np
import pytest

from gptcli.engine.arrays import host
from gptcli.engine.probe import EachRow
from gptcli.engine.runner import Runner
from tests.engine.cpu.helpers import SETS, kernels_of
from tests.engine.helpers import WAYS, Recorder, few_of, rows_of, runner_of

both = pytest.mark.parametrize("through", ["torch", *["kernels"] * bool(SETS)])
#: How many tokens of each row come in each of two passes, and at which of its positions one looks.
PIECES, WINDOWS = [(9, 2), (3, 1), (14, 4)], [range(20), range(1, 4), range(5, 17)]


def runner_through(through: str, case: str) -> Runner:
    return kernels_of(case) if through == "kernels" else runner_of(case)


def whole(recorder: Recorder) -> dict[tuple[str, int], np.ndarray]:
    """What was shown of each point and layer in the window, part behind part; of keys the last."""
    found, window = dict[tuple[str, int], list[np.ndarray]](), recorder.positions
    for point, layer, start, array in recorder.shown:
        numbers = host(array)
        if point in ("keys", "values"):
            found[point, layer] = [numbers]
            continue
        time = 2 if point == "queries" else 1
        first = max(window.start - start, 0)
        end = max(min(window.stop - start, numbers.shape[time]), first)
        own = numbers[:, :, first:end] if time == 2 else numbers[:, first:end]
        found.setdefault((point, layer), []).append(own.swapaxes(0, time))
    return {place: np.concatenate(parts) for place, parts in found.items()}


@few_of(WAYS, ["gemma2/capped", "deepseek_v3/groups", "qwen3_next/options", "lfm2/plain"])
@both
def test_each_probe_sees_its_row_as_if_that_ran_alone(case, through):
    """Catches numbers of a neighbour or of padding, a row whose tokens are shown at the positions
    of another, and keys of the whole batch; in the kernels by a bit."""
    runner = runner_through(through, case)
    rows = [list(row) for row in (*rows_of(case), *rows_of(case))][:3]
    recorders = [Recorder(window) for window in WINDOWS]
    state, begun = runner.new_state(3), [0, 0, 0]
    for pieces in zip(*PIECES, strict=True):
        parts = [row[at : at + n] for row, at, n in zip(rows, begun, pieces, strict=True)]
        together = runner.prefill(parts, state, chunk=7, probe=EachRow(recorders))
        begun = [at + n for at, n in zip(begun, pieces, strict=True)]
    for at, (row, pieces, window) in enumerate(zip(rows, PIECES, WINDOWS, strict=True)):
        one, alone = Recorder(window), runner.new_state()
        for start, count in ((0, pieces[0]), (pieces[0], pieces[1])):
            logits = runner.prefill([row[start : start + count]], alone, chunk=7, probe=one)
        found, expected = whole(recorders[at]), whole(one)
        assert found.keys() == expected.keys() and found
        for place, numbers in expected.items():
            assert found[place].shape == numbers.shape
            if through == "kernels":
                assert np.array_equal(found[place], numbers), place
            else:
                np.testing.assert_allclose(found[place], numbers, rtol=1e-4, atol=2e-5)
        np.testing.assert_allclose(host(together)[at], host(logits)[0], rtol=0, atol=5e-5)


@both
def test_one_probe_is_of_one_row(through):
    """Catches a probe that is shown several rows as one."""
    runner = runner_through(through, "llama/tied")
    for probe in (Recorder(range(3)), EachRow([Recorder(range(3))])):
        with pytest.raises(ValueError, match="1 probes look on while 2 rows run"):
            runner.prefill([[1, 2], [3]], runner.new_state(2), probe=probe)
