"""Keys and values in pages against the same in one piece: not a bit is different."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from gptcli.engine.cpu.run.runner import KernelRunner
from gptcli.engine.state.pages import PagedRow
from tests.engine.cpu.helpers import every_set, needs_kernels
from tests.engine.cpu.small import SPEC, small_model

LONG = replace(SPEC, context=400)
pytestmark = needs_kernels


def runner_with(instructions: str, dtype: str, **flags) -> KernelRunner:
    model = small_model(instructions, spec=LONG, threads=2)
    return KernelRunner(model, LONG, dtype, 400)


@every_set
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "q8_0"])
@pytest.mark.parametrize("size", [64, 128])
def test_pages_are_the_whole(instructions, dtype, size):
    """Catches a position that is looked for in another page, at their borders above all."""
    runner = runner_with(instructions, dtype)
    chance = random.Random(size)
    state = runner.new_pages(20, size=size)
    rows = [PagedRow() for _ in range(3)]
    whole = [runner.new_state() for _ in rows]
    for counts in [(1, 70, 3), (63, 1, 0), (1, 1, 1), (100, 0, 200), (1, 1, 1), (30, 90, 1)]:
        ids = [[chance.randrange(LONG.vocab) for _ in range(n)] for n in counts]
        taking = [at for at, n in enumerate(counts) if n]
        chance.shuffle(taking)
        state.rows = [rows[at] for at in taking]
        pieces = [ids[at] for at in taking]
        ours = runner.run(pieces, state, range(sum(counts)))
        alone = [runner.logits_in_parts(ids[at], whole[at], rows=400) for at in taking]
        np.testing.assert_array_equal(ours, np.concatenate([p for each in alone for p in each]))
    assert [row.length for row in rows] == [each.lengths[0] for each in whole]


@every_set
def test_tables_that_lead_nowhere_are_refused(instructions):
    """Catches a read of memory that is nobody's: a page that is not there, a row without one."""
    runner = runner_with(instructions, "float32")
    state = runner.new_pages(3)
    state.rows = [PagedRow()]
    runner.run([[1, 2]], state, [1])
    model = runner.model
    for table in ([[16]], [[-1]], [[1 << 30]]):
        with pytest.raises(ValueError, match="outside of the model or the cache"):
            model.forward([1], [0], [2], state.layers, [0], table=np.array(table, np.int32))
    good = np.array([[1]], np.int32)
    for row, position in ((1, 0), (0, 64), (-1, 0)):
        with pytest.raises(ValueError, match="outside of the model or the cache"):
            model.forward([1], [row], [position], state.layers, [0], table=good)
    with pytest.raises(ValueError, match="contiguous array of int32"):
        model.forward([1], [0], [2], state.layers, [0], table=good.astype(np.int64))
    odd = runner.new_pages(3, size=48)
    odd.rows = [PagedRow()]
    with pytest.raises(ValueError, match="outside of the model or the cache"):
        runner.run([[1, 2]], odd, [1])
