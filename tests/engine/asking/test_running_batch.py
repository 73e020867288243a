"""Texts that come and go against each of them alone: the same tokens, whatever runs beside them."""

from __future__ import annotations

import random
from itertools import chain

import numpy as np
import pytest

from gptcli.engine.asking.draws import Drawn, Draws
from gptcli.engine.asking.generate import Generation
from gptcli.engine.asking.joined import Joined
from gptcli.engine.asking.prefix import PrefixCache
from gptcli.engine.asking.running_batch import RunningBatch
from gptcli.errors import NonFiniteError, ResourceError
from gptcli.types.sampling import Sampling
from tests.engine import numpy_llama
from tests.engine.cpu.helpers import kernels_of, needs_kernels
from tests.engine.helpers import GOLDENS, rows_of, runner_of

ODD = Sampling(
    temperature=1.2, xtc_probability=0.5, xtc_threshold=0.01, dry_multiplier=1.0, top_k=9
)
GREEDY, WARM = Sampling(temperature=0), Sampling(temperature=1.3, top_k=20, repeat_penalty=1.2)
RUNNERS = {
    "torch": lambda: runner_of("llama/tied"),
    "stand-in": lambda: numpy_llama.runner(GOLDENS / "llama/tied"),
    "window": lambda: runner_of("mistral/window"),
    "memories": lambda: runner_of("qwen3_5_text/plain"),
    "convolutions": lambda: runner_of("lfm2/plain"),
}
every_runner = pytest.mark.parametrize("runner", RUNNERS.values(), ids=RUNNERS)


def alone(runner, prompt, draws, samples=1):
    """What each sample draws, and what was told of the prompt."""
    generation = Generation(PrefixCache(runner), [prompt] * samples, draws)
    reads = [each for some in generation.reads() for each in some]
    return reads, gathered(generation, samples)


def gathered(steps, samples=1):
    found: list[list[Drawn]] = [[] for _ in range(samples)]
    for step in steps:
        for drawn in step:
            found[drawn.sample].append(drawn)
    return found


class Reading:
    """A joined question, read step by step as an answer would."""

    def __init__(self, joined: Joined, samples: int) -> None:
        self.joined, self.drawn = joined, [[] for _ in range(samples)]
        self.reads, self.over = [], False
        self._steps = self._go()

    def _go(self):
        for some in self.joined.reads():
            self.reads += some
            yield bool(some)
        for step in self.joined:
            for drawn in step:
                self.drawn[drawn.sample].append(drawn)
            yield bool(step)

    def pull(self) -> None:
        for given in self._steps:
            if not given:
                return
        self.over = True


def ids_of(drawn):
    return [[each.id for each in sample] for sample in drawn]


def questions(runner, count=14):
    """Prompts that begin alike, or not; of one token up to many; drawn in many ways."""
    a, b = rows_of("llama/tied")[:2]
    chance = random.Random(3)
    for number in range(count):
        cut = chance.randrange(1, 15)
        prompt = [*a[:cut], *b[: chance.randrange(0, 6)]]
        yield (
            prompt,
            Draws(
                chance.choice([GREEDY, WARM, ODD]),
                chance.choice([0, 1, 3, 9]) if number % 4 == 1 else chance.randrange(1, 9),
                end_ids=frozenset({number}),
                seed=number,
                logprobs=chance.choice([None, 2]),
                fitting=chance.choice([None, lambda drawn: [5, 6, 7] if drawn else None]),
                prompt_logprobs=2 if number % 4 == 1 else None,
            ),
            chance.choice([1, 1, 3]),
        )


@pytest.mark.parametrize(
    ("runner", "pages", "most"),
    [
        *((name, 200, 64) for name in RUNNERS),
        # Who waits for whom is the same for each of them.
        *(("memories", pages, most) for pages, most in [(200, 3), (14, 64)]),
    ],
)
def test_each_is_as_alone(runner, pages, most, monkeypatch):
    """Catches a row that sees another's keys, a prefix of other tokens, a seed or history that is
    mixed up, and what was lost with the pages of a text that had to wait.
    """
    runner = RUNNERS[runner]()
    monkeypatch.setattr("gptcli.engine.asking.running_batch.SLICE", 5)
    monkeypatch.setattr("gptcli.engine.asking.running_batch.CHUNK", 7)
    batch = RunningBatch(runner, pages=pages, most=most, page_size=4)
    asked = list(questions(runner))
    coming, chance = list(asked), random.Random(1)
    running: list[Reading] = []
    while coming or not batch.idle:
        for _ in range(chance.randrange(3)):
            if coming:
                prompt, draws, samples = coming.pop(0)
                running.append(Reading(batch.join(prompt, draws, samples), samples))
        batch.step()
        for each in running:
            each.pull()
    assert all(each.over for each in running)
    assert batch._rows.state.pool.left == pages
    for (prompt, draws, samples), each in zip(asked, running, strict=True):
        reads, drawn = alone(runner, prompt, draws, samples)
        assert ids_of(each.drawn) == ids_of(drawn)
        for ours, theirs in zip(chain(*each.drawn), chain(*drawn), strict=True):
            assert ours.ends == theirs.ends
            np.testing.assert_allclose(ours.logprob or 0, theirs.logprob or 0, atol=2e-5)
        assert [r.id for r in each.reads] == [r.id for r in reads]
        for ours, theirs in zip(each.reads, reads, strict=True):
            np.testing.assert_allclose(ours.logprob or 0, theirs.logprob or 0, atol=2e-5)
            assert [t.id for t in ours.top] == [t.id for t in theirs.top]


@needs_kernels
@pytest.mark.parametrize("case", ["llama/tied", "qwen3_5_text/plain", "lfm2/plain"])
def test_the_kernels_give_the_very_same_numbers(case):
    """Catches arithmetic that depends on who runs beside: a batch must not change a bit."""
    runner = kernels_of(case)
    batch = RunningBatch(runner, pages=100)
    asked = [
        (prompt, Draws(WARM, 9, seed=draws.seed, logprobs=3, prompt_logprobs=1), samples)
        for prompt, draws, samples in questions(runner)
    ]
    running = [Reading(batch.join(prompt, draws, n), n) for prompt, draws, n in asked]
    while not batch.idle:
        batch.step()
        for each in running:
            each.pull()
    for (prompt, draws, samples), each in zip(asked, running, strict=True):
        assert (each.reads, each.drawn) == alone(runner, prompt, draws, samples)


@every_runner
def test_what_prompts_begin_with_runs_once(runner, monkeypatch):
    """Catches a prompt that every sample reads by itself, and one that does not wait for another
    that is just reading what it begins with.
    """
    runner = runner()
    a = rows_of("llama/tied")[0]
    batch = RunningBatch(runner, pages=60, page_size=4)
    ran = []
    run = runner.run
    monkeypatch.setattr(runner, "run", lambda rows, *more: ran.append(rows) or run(rows, *more))
    joined = [batch.join(a[:11], Draws(GREEDY, 1), 5), batch.join([*a[:10], 3], Draws(GREEDY, 1))]
    while not batch.idle:
        batch.step()
    assert sum(len(row) for rows in ran for row in rows) == 11 + 3
    assert joined[1].reused == 8
    assert len({drawn.id for drawn in chain(*gathered(joined[0], 5))}) == 1


@every_runner
def test_who_stops_is_gone_before_the_next_step(runner, monkeypatch):
    """Catches work for nobody, and pages that stay with it."""
    runner = runner()
    a, b = rows_of("llama/tied")[:2]
    batch = RunningBatch(runner, pages=60, page_size=4)
    one, other = batch.join(a[:9], Draws(GREEDY, 20), 2), batch.join(b[:6], Draws(GREEDY, 5))
    batch.step()
    batch.step()
    rows = []
    run = runner.run
    monkeypatch.setattr(runner, "run", lambda *given: rows.append(len(given[0])) or run(*given))
    one.stop(0)
    batch.step()
    one.close()
    while not batch.idle:
        batch.step()
    assert rows[0] == 3 - 1 and set(rows[1:]) == {1} and batch._rows.state.pool.left == 60
    assert ids_of(gathered(other)) == ids_of(alone(runner, b[:6], Draws(GREEDY, 5))[1])


def test_an_error_ends_its_own_text(monkeypatch):
    """Catches a broken row that takes the others with it, or is never told."""
    runner = runner_of("llama/tied")
    a, b = rows_of("llama/tied")[:2]
    batch = RunningBatch(runner, pages=60, page_size=4)
    bad = batch.join(a[:5], Draws(Sampling(logit_bias=((3, float("nan")),)), 5), 2)
    good = batch.join(b[:6], Draws(GREEDY, 3))
    with pytest.raises(NonFiniteError):
        while True:
            batch.step()
            for _ in bad:
                break
            else:
                continue
            list(bad)
    while not batch.idle:
        batch.step()
    assert ids_of(gathered(good)) == ids_of(alone(runner, b[:6], Draws(GREEDY, 3))[1])


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_an_error_leaves_those_that_are_drawn_with_it_alone(temperature, monkeypatch):
    """Catches neighbours drawn at once with a broken row that end with it, or are drawn twice."""
    runner = runner_of("llama/tied")
    a, b = rows_of("llama/tied")[:2]
    draws = Draws(Sampling(temperature=temperature), 4)
    want = [ids_of(alone(runner, row, draws)[1]) for row in (a[:5], b[:6])]
    run = type(runner).run

    def broken(self, rows, state, wanted):
        logits = run(self, rows, state, wanted).clone()
        logits[1] = float("nan")
        monkeypatch.undo()
        return logits

    batch = RunningBatch(runner, pages=60, page_size=4)
    first, bad, last = (batch.join(row, draws) for row in (a[:5], a[7:0:-1], b[:6]))
    monkeypatch.setattr(type(runner), "run", broken)
    while not batch.idle:
        batch.step()
    with pytest.raises(NonFiniteError):
        list(bad)
    assert [ids_of(gathered(each)) for each in (first, last)] == want


def test_an_error_of_one_sample_ends_those_that_stand_apart():
    """Catches a sample that is drawn after another has ended it: samples part where one gave up its
    pages.
    """
    runner = runner_of("llama/tied")
    a, b = rows_of("llama/tied")[:2]
    failing: list[bool] = []

    def constraint(_):
        if failing:
            failing.clear()
            raise NonFiniteError("logits", "are none")

    batch = RunningBatch(runner, pages=60, page_size=4)
    bad = batch.join(a[:5], Draws(GREEDY, 2, fitting=constraint), 2)
    good = batch.join(b[:6], Draws(GREEDY, 4))
    batch.step()
    first, second, other = batch._rows.running
    batch._rows.running = [first, other, second]
    failing.append(True)
    while not batch.idle:
        batch.step()
    with pytest.raises(NonFiniteError):
        list(bad)
    assert ids_of(gathered(good)) == ids_of(alone(runner, b[:6], Draws(GREEDY, 4))[1])


def test_a_text_that_never_fits_says_so():
    """Catches a batch that puts a text back and takes it again for ever."""
    runner = runner_of("llama/tied")
    batch = RunningBatch(runner, pages=2, page_size=4)
    joined = batch.join(rows_of("llama/tied")[0][:6], Draws(GREEDY, 9))
    for _ in range(9):
        batch.step()
    assert batch.idle
    with pytest.raises(ResourceError, match="has no room for a text of 9 tokens"):
        list(joined)


def test_forced_tokens_are_those_of_a_text_alone():
    """Catches a token that is forced a step late where others run beside it."""
    runner, prompt = RUNNERS["stand-in"](), [1, 2, 3]

    def forced(_sample, drawn):
        return 7 if len(drawn) in (2, 3) else None

    draws = Draws(WARM, 6, seed=3, forced=forced)
    _, expected = alone(runner, prompt, draws, 2)
    batch = RunningBatch(runner, pages=64, page_size=4)
    others = batch.join([4, 5], Draws(WARM, 6, seed=1))
    readings = [Reading(batch.join(prompt, draws, 2), 2), Reading(others, 1)]
    while not batch.idle:
        batch.step()
        for each in readings:
            each.pull()
    assert readings[0].drawn == expected
    assert all(one[2].id == one[3].id == 7 for one in expected)
