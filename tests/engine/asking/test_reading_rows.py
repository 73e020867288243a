"""Rows that only read, in a running batch: what is told of their logits is what they give alone."""

from __future__ import annotations

import random
from itertools import chain

import numpy as np
import pytest

from gptcli.engine.asking.continuations import logprobs_after
from gptcli.engine.asking.draws import Draws
from gptcli.engine.asking.prefix import PrefixCache
from gptcli.engine.asking.running_batch import RunningBatch
from gptcli.engine.asking.scoring import Window, score, score_rows
from gptcli.errors import NonFiniteError
from gptcli.types.sampling import Sampling
from tests.engine import numpy_llama
from tests.engine.cpu.helpers import kernels_of, needs_kernels
from tests.engine.helpers import GOLDENS, rows_of, runner_of

GREEDY = Sampling(temperature=0)
RUNNERS = {
    "torch": lambda: runner_of("llama/tied"),
    "stand-in": lambda: numpy_llama.runner(GOLDENS / "llama/tied"),
    "window": lambda: runner_of("mistral/window"),
    "state": lambda: runner_of("lfm2/options"),
}


def texts(count=12):
    """(ids, the first place that is told); many begin alike."""
    a, b = rows_of("llama/tied")[:2]
    chance = random.Random(2)
    for _ in range(count):
        ids = [*a[: chance.randrange(1, 15)], *b[: chance.randrange(1, 8)]]
        yield ids, chance.choice([0, len(ids) // 2, len(ids) - 1])


def choices(count=8):
    """(prompt, rows); some of one token, so that nothing runs for them."""
    a, b = rows_of("llama/tied")[:2]
    chance = random.Random(5)
    for _ in range(count):
        rows = [b[at : at + chance.randrange(1, 5)] for at in range(chance.randrange(2, 6))]
        yield a[: chance.randrange(1, 14)], rows


def reader(batch, ids, first):
    """How probable the token after each place was, and what comes after the last."""
    after = [*ids[1:], 7]
    return batch.look(
        ids, first, lambda at, logits: score_rows(logits, after[at : at + len(logits)])
    )


def read_alone(runner, ids, first):
    whole = [*ids, 7]
    return list(score(runner, whole, [Window(0, first + 1, len(whole))]))


def gather(batch, joined):
    """What each was told, step by step."""
    readers = [each.reads() for each in joined]
    found = [[] for _ in joined]
    over = set()
    for _ in range(2000):
        batch.step()
        for at, parts in enumerate(readers):
            for some in parts:
                if not some:
                    break
                found[at] += some
            else:
                over.add(at)
        if len(over) == len(joined):
            return found
    raise AssertionError("it goes on for ever")


def by_row(told, count):
    rows = [[] for _ in range(count)]
    for index, logprob in told:
        rows[index].append(logprob)
    return rows


@pytest.mark.parametrize(
    ("runner", "pages", "most"),
    [
        *((name, 200, 64) for name in RUNNERS),
        # Who waits for whom is the same for each of them.
        *(("state", pages, most) for pages, most in [(200, 3), (200, 1), (9, 64), (9, 2)]),
    ],
)
def test_each_is_told_what_it_is_alone(runner, pages, most, monkeypatch):
    """Catches a place that is one off, numbers of another row, and rows that wait for ever for one
    that waits for them where pages are few.
    """
    runner = RUNNERS[runner]()
    monkeypatch.setattr("gptcli.engine.asking.running_batch.CHUNK", 7)
    monkeypatch.setattr("gptcli.engine.asking.running_batch.HEAD_ROWS", 5)
    batch = RunningBatch(runner, pages=pages, most=most, page_size=4)
    asked, chosen = list(texts()), list(choices())
    joined = []
    for (ids, first), (prompt, rows) in zip(asked, [*chosen, *chosen[:4]], strict=True):
        joined += [reader(batch, ids, first), batch.after(prompt, rows)]
    batch.join(asked[0][0], Draws(GREEDY, 6))
    found = gather(batch, joined)
    for _ in range(50):
        batch.step()
    assert batch.idle
    assert batch._rows.state.pool.left == pages
    for (ids, first), told in zip(asked, found[::2], strict=True):
        expected = read_alone(runner, ids, first)
        assert [(s.id, s.best) for s in told] == [(s.id, s.best) for s in expected]
        np.testing.assert_allclose(
            [s.logprob for s in told], [s.logprob for s in expected], atol=2e-5
        )
    for (prompt, rows), told in zip([*chosen, *chosen[:4]], found[1::2], strict=True):
        (expected,) = logprobs_after(PrefixCache(runner), [prompt], [rows])
        ours = by_row(told, len(rows))
        assert list(map(len, ours)) == list(map(len, rows))
        np.testing.assert_allclose(list(chain(*ours)), list(chain(*expected)), atol=2e-5)


@needs_kernels
def test_the_kernels_give_the_very_same_numbers():
    """Catches arithmetic that depends on who reads beside: a batch must not change a bit."""
    runner = kernels_of("llama/tied")
    batch = RunningBatch(runner, pages=200)
    asked, chosen = list(texts()), list(choices())
    joined = [reader(batch, *each) for each in asked]
    joined += [batch.after(*each) for each in chosen]
    found = gather(batch, joined)
    assert found[: len(asked)] == [read_alone(runner, *each) for each in asked]
    for (prompt, rows), told in zip(chosen, found[len(asked) :], strict=True):
        assert by_row(told, len(rows)) == logprobs_after(PrefixCache(runner), [prompt], [rows])[0]


def ran_by(runner, monkeypatch):
    """The ids of every call that is made from here on."""
    ran, run = [], runner.run
    monkeypatch.setattr(runner, "run", lambda rows, *more: ran.append(rows) or run(rows, *more))
    return ran


def test_short_texts_are_read_in_one_call(monkeypatch):
    """Catches a call for each text, and one that reads out more places than it should at once."""
    runner = runner_of("llama/tied")
    ran = ran_by(runner, monkeypatch)
    a, b = rows_of("llama/tied")[:2]
    batch = RunningBatch(runner, pages=200)
    joined = [reader(batch, [token, *a[:9]], 9) for token in b[:8]]
    gather(batch, joined)
    assert [len(rows) for rows in ran] == [8]
    ran.clear()
    monkeypatch.setattr("gptcli.engine.asking.running_batch.HEAD_ROWS", 25)
    gather(batch, [reader(batch, [token, *a[:9]], 0) for token in b[:8]])
    assert [sum(map(len, rows)) for rows in ran] == [25, 25, 25, 5]


def test_a_prompt_runs_once_for_all_that_follows_it(monkeypatch):
    """Catches a prompt that each choice reads by itself, also where few rows run at once."""
    a, b = rows_of("llama/tied")[:2]
    for most in (64, 2):
        runner = runner_of("llama/tied")
        ran = ran_by(runner, monkeypatch)
        batch = RunningBatch(runner, pages=200, most=most)
        gather(batch, [batch.after(a[:11], [b[:1], b[:3], b[1:4], b[2:5], b[3:6]])])
        assert sum(len(row) for rows in ran for row in rows) == 11 + 4 * 2
        assert batch.idle


def test_a_prompt_gives_way_where_there_is_no_room_for_it():
    """Catches a row that waits for pages of the one that stays for another to begin at its end."""
    runner = runner_of("llama/tied")
    a, b = rows_of("llama/tied")[:2]
    batch = RunningBatch(runner, pages=3, most=2, page_size=4)
    (found,) = gather(batch, [batch.after(a[:6], [b[:4], b[1:5]])])
    assert list(map(len, by_row(found, 2))) == [4, 4] and batch.idle


def test_who_leaves_has_nothing_read(monkeypatch):
    """Catches texts that are read for nobody, and pages that stay with them."""
    runner = runner_of("llama/tied")
    a, b = rows_of("llama/tied")[:2]
    batch = RunningBatch(runner, pages=60, page_size=4)
    monkeypatch.setattr("gptcli.engine.asking.running_batch.CHUNK", 4)
    gone = [
        reader(batch, a[:12], 0),
        batch.after(a[:9], [b[:3], b[1:4]]),
        batch.join(b[:9], Draws(GREEDY, 0, prompt_logprobs=0)),
    ]
    batch.step()
    for each in gone:
        each.close()
    assert batch.idle
    assert batch._rows.state.pool.left == 60


def test_an_error_ends_its_own_reading():
    """Catches a text without numbers that takes the others with it, or is never told."""
    runner = runner_of("llama/tied")
    a, b = rows_of("llama/tied")[:2]
    batch = RunningBatch(runner, pages=60, page_size=4)

    def tell(at, logits):
        raise NonFiniteError("logits", "are none")

    bad, good = batch.look(a[:9], 3, tell), reader(batch, b[:6], 0)
    (found,) = gather(batch, [good])
    assert len(found) == 6 and batch.idle
    with pytest.raises(NonFiniteError):
        list(bad.reads())
