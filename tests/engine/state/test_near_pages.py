"""Pages of layers that do not see all: what a row may yet see is there, and the rest goes."""

from __future__ import annotations

import numpy as np
import pytest

from gptcli.engine.asking.draws import Draws
from gptcli.engine.asking.generate import Generation
from gptcli.engine.asking.prefix import PrefixCache
from gptcli.engine.asking.running_batch import RunningBatch
from gptcli.engine.state import paged_state
from gptcli.engine.state.page_memory import NO_PAGE
from gptcli.engine.state.paged_state import PagedState, pages_in
from gptcli.engine.state.pages import PagedRow
from gptcli.types.sampling import Sampling
from tests.engine.cpu.helpers import needs_kernels
from tests.engine.state.windows import IDS, LIMIT, NEAR, RUNNERS, narrow, whole

pytestmark = needs_kernels
every_runner = pytest.mark.parametrize("name", ["float32", "int8", "torch"])


@pytest.fixture(autouse=True)
def _narrow():
    with narrow():
        yield


def ran(name: str, state: PagedState, row: PagedRow, ids: list[int], count: int) -> np.ndarray:
    """Logits after the last of `count` more tokens of a row."""
    state.rows, known = [row], row.length // state.pool.size
    state.reserve([count])
    piece = ids[row.length : row.length + count]
    logits = RUNNERS[name]().run([piece], state, [count - 1])
    state.pool.remember(row, ids, known)
    return np.asarray(logits)


def near(ours: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(ours[0], expected, atol=3e-5, rtol=0)


@every_runner
def test_a_row_holds_what_it_sees_and_others_begin_there(name):
    """Catches a page given back that is still seen, one that nobody can have again, and a row that
    begins where a page behind it is gone.
    """
    state = RUNNERS[name]().new_pages(40)
    pool, row = state.pool, state.pool.begin([])
    for count in (100, 1, 99, 130, *[1] * 70):
        near(ran(name, state, row, IDS, count), whole(name)[row.length - 1])
    assert sum(page != NO_PAGE for page in row.near) <= 4 and len(row.pages) == 7
    assert pool.known(IDS) == 384
    again = pool.begin(IDS[:320])
    assert again.length == 320 and again.near[:3] == [NO_PAGE] * 3
    other = (*IDS[:320], *IDS[:30])
    near(ran(name, state, again, list(other), 30), whole(name, other)[-1])
    copy = pool.copy(row)
    near(ran(name, state, copy, IDS, 40), whole(name)[copy.length - 1])
    other = (*IDS[:400], *IDS[7:20])
    near(ran(name, state, row, list(other), 13), whole(name, other)[-1])
    for each in (row, again, copy):
        pool.give(each)
    near_memory = pool.near.memory
    assert pool.left == 40 and near_memory.left == near_memory.most - 1


def test_few_pages_are_enough_for_long_texts(monkeypatch):
    """Catches memory of layers with a window that grows with the text, or with those that come."""
    monkeypatch.setattr(paged_state, "_MOST_KEPT", 4)
    state = RUNNERS["float32"]().new_pages(60)
    for first in range(6):
        ids, row = IDS[first:], state.pool.begin([])
        while row.length < 600:
            ran("float32", state, row, ids, 50)
        state.pool.give(row)
    made = {pages.keys.shape[0] for pages in state.pool.near.memory.layers}
    assert len(made) == 1 and max(made) <= 17 < state.pool.made
    assert pages_in(NEAR, 4, 1 << 30, LIMIT) > (1 << 30) // (64 * NEAR.token_bytes(4))


def test_texts_that_run_together_are_each_alone():
    """Catches rows of a server whose windows move while others' stand still."""
    runner, draws = RUNNERS["float32"](), Draws(Sampling(temperature=0), 90)
    batch = RunningBatch(runner, pages=30)
    prompts = [IDS[:250], [*IDS[:200], *IDS[3:9]], IDS[40:60], IDS[:250]]
    joined = [batch.join(prompt, draws) for prompt in prompts]
    while not batch.idle:
        batch.step()
    for prompt, each in zip(prompts, joined, strict=True):
        steps = Generation(PrefixCache(runner), [prompt], draws)
        expected = [drawn.id for step in steps for drawn in step]
        assert [drawn.id for step in each for drawn in step] == expected
