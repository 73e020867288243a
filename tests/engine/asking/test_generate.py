"""Generation against a naive loop that keeps nothing and recomputes everything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from gptcli.engine.asking.draws import Drawn
from gptcli.engine.asking.raw_logprobs import Alternative
from gptcli.engine.torch.runner import TorchRunner
from gptcli.types.sampling import Sampling
from tests.engine.helpers import generate, rows_of, runner_of

both = pytest.mark.parametrize("case", ["gpt2/tied", "llama/tied"])
GREEDY = Sampling(temperature=0)
WARM = Sampling(temperature=1.3, top_k=20)


def texts(steps: list[list[Drawn]], samples: int) -> list[list[int]]:
    """The ids of each sample."""
    return [[d.id for step in steps for d in step if d.sample == i] for i in range(samples)]


def raw(runner: TorchRunner, ids: list[int]) -> torch.Tensor:
    """Logits after `ids`, from nothing but them."""
    return runner.all_logits(ids, runner.new_state())[-1].clone()


@contextmanager
def counting(runner: TorchRunner) -> Iterator[list[tuple[int, int]]]:
    """The shapes of ids that go through the decoder."""
    calls: list[tuple[int, int]] = []
    hook = runner.decoder.register_forward_pre_hook(lambda _, args: calls.append(args[0].shape))
    try:
        yield calls
    finally:
        hook.remove()


@both
def test_greedy_equals_the_naive_loop(case):
    """Catches a token that is drawn from the wrong position, or appended twice or never."""
    runner, prompt = runner_of(case), rows_of(case)[0][:10]
    ids = list(prompt)
    for _ in range(30):
        ids.append(int(raw(runner, ids).argmax()))
    steps = list(generate(runner, prompt, GREEDY, max_new_tokens=30))
    assert steps == [[Drawn(0, token, False)] for token in ids[10:]]


@both
def test_penalties_see_the_samples_own_text(case):
    """Catches a history that lacks the prompt or the last token, or is shared by the samples."""
    runner, prompt = runner_of(case), list(rows_of(case)[0][:10])
    ids = list(prompt)
    for _ in range(25):
        logits = raw(runner, ids)
        for token in set(ids):
            logits[token] = logits[token] / 1.5 if logits[token] > 0 else logits[token] * 1.5
        for token in set(ids[10:]):
            logits[token] -= 0.4 + 0.3 * ids[10:].count(token)
        ids.append(int(logits.argmax()))
    wish = Sampling(temperature=0, repeat_penalty=1.5, presence_penalty=0.4, frequency_penalty=0.3)
    steps = list(generate(runner, prompt, wish, max_new_tokens=25, samples=3))
    assert texts(steps, 3) == [ids[10:]] * 3


@both
def test_sample_i_equals_a_run_alone_with_seed_plus_i(case):
    """Catches samples that depend on how many there are, or that are all the same."""
    runner, prompt = runner_of(case), rows_of(case)[0][:9]
    together = texts(list(generate(runner, prompt, WARM, max_new_tokens=20, seed=41, samples=4)), 4)
    alone = [
        texts(list(generate(runner, prompt, WARM, max_new_tokens=20, seed=41 + i)), 1)[0]
        for i in range(4)
    ]
    assert together == alone
    assert len({tuple(text) for text in together}) == 4


def test_the_largest_seed_is_no_end():
    """Catches seed + i running over what a generator takes."""
    runner, prompt = runner_of("llama/tied"), rows_of("llama/tied")[0][:9]
    largest = 2**63 - 1
    steps = list(generate(runner, prompt, WARM, max_new_tokens=8, seed=largest, samples=2))
    alone = [
        texts(list(generate(runner, prompt, WARM, max_new_tokens=8, seed=seed)), 1)[0]
        for seed in (largest, 0)
    ]
    assert texts(steps, 2) == alone


@both
def test_stopping_some_samples_leaves_the_others_unchanged(case):
    """Catches rows of the cache, histories or generators that shift when a sample leaves."""
    runner, prompt = runner_of(case), rows_of(case)[0][:9]

    def run(stops: dict[int, list[int]]) -> list[list[int]]:
        generation = generate(runner, prompt, WARM, max_new_tokens=15, seed=3, samples=5)
        steps = []
        for number, step in enumerate(generation, start=1):
            steps.append(step)
            for sample in stops.get(number, []):
                generation.stop(sample)
        return texts(steps, 5)

    whole = run({})
    assert [len(text) for text in whole] == [15] * 5
    some = run({2: [1], 6: [0, 4], 7: [0]})
    assert some == [whole[0][:6], whole[1][:2], whole[2], whole[3], whole[4][:6]]
    assert run({4: [0, 1, 2, 3, 4]}) == [text[:4] for text in whole]


def test_a_sample_stopped_before_the_start_has_no_part():
    """Catches a batch that is made before the stops are looked at."""
    runner, prompt = runner_of("llama/tied"), rows_of("llama/tied")[0][:9]
    whole = texts(list(generate(runner, prompt, WARM, max_new_tokens=5, seed=3, samples=3)), 3)
    generation = generate(runner, prompt, WARM, max_new_tokens=5, seed=3, samples=3)
    generation.stop(1)
    assert texts(list(generation), 3) == [whole[0], [], whole[2]]
    nobody = generate(runner, prompt, WARM, max_new_tokens=5)
    nobody.stop(0)
    assert list(nobody) == []


@both
def test_an_end_token_ends_its_sample_only(case):
    """Catches an end token that is not said, ends all, or is followed by more."""
    runner, prompt = runner_of(case), rows_of(case)[0][:9]
    whole = texts(list(generate(runner, prompt, WARM, max_new_tokens=15, seed=3, samples=4)), 4)
    ends = {whole[1][4], whole[2][9]}
    expected = []
    for text in whole:
        at = next((i for i, token in enumerate(text) if token in ends), len(text) - 1)
        expected.append(text[: at + 1])
    assert len({len(text) for text in expected}) > 1
    generation = generate(runner, prompt, WARM, max_new_tokens=15, seed=3, samples=4, end_ids=ends)
    steps = list(generation)
    assert texts(steps, 4) == expected
    assert all(drawn.ends == (drawn.id in ends) for step in steps for drawn in step)


@both
@pytest.mark.parametrize("limit", [0, -1])
def test_no_room_gives_no_step_and_runs_nothing(case, limit):
    """Catches a prefill whose result nobody wants, and a first token beyond the limit."""
    runner, prompt = runner_of(case), rows_of(case)[0]
    with counting(runner) as calls:
        assert list(generate(runner, prompt, GREEDY, max_new_tokens=limit)) == []
    assert calls == []


@both
@pytest.mark.parametrize("limit", [1, 2, 9])
def test_each_step_runs_the_decoder_once(case, limit):
    """Catches one more run after the last token, and a prompt that is run once per sample."""
    runner, prompt = runner_of(case), rows_of(case)[0][:12]
    with counting(runner) as calls:
        generation = generate(runner, prompt, GREEDY, max_new_tokens=limit, samples=3)
        assert len(list(generation)) == limit
    assert calls == [(1, 12), *[(3, 1)] * (limit - 1)]


def test_nothing_runs_after_the_last_sample_ended():
    """Catches a run for samples that have all met an end token."""
    runner, prompt = runner_of("gpt2/tied"), rows_of("gpt2/tied")[0][:12]
    first = [step[0].id for step in generate(runner, prompt, GREEDY, max_new_tokens=6)]
    at = first.index(first[3])
    with counting(runner) as calls:
        generation = generate(runner, prompt, GREEDY, max_new_tokens=9, end_ids={first[3]})
        assert len(list(generation)) == at + 1
    assert len(calls) == at + 1


@both
def test_a_full_context_still_gives_one_token(case):
    """Catches a token that is appended though nothing follows it."""
    runner = runner_of(case)
    prompt = [i % runner.spec.vocab for i in range(runner.spec.context)]
    steps = list(generate(runner, prompt, GREEDY, max_new_tokens=1))
    assert steps == [[Drawn(0, int(raw(runner, prompt).argmax()), False)]]


@both
def test_logprobs_are_those_of_the_raw_distribution(case):
    """Catches log-probabilities after temperature and filters, or of the position before."""
    runner, prompt = runner_of(case), list(rows_of(case)[0][:9])
    wish = Sampling(temperature=0.6, top_k=3, repeat_penalty=1.4, logit_bias=((5, 2.0),))
    steps = list(generate(runner, prompt, wish, max_new_tokens=12, seed=5, samples=2, logprobs=4))
    for sample in range(2):
        ids = list(prompt)
        for step in steps:
            drawn = step[sample]
            expected = raw(runner, ids).log_softmax(dim=-1)
            assert drawn.logprob == pytest.approx(expected[drawn.id].item(), abs=2e-5)
            best = expected.topk(4)
            assert [each.id for each in drawn.top] == best.indices.tolist()
            assert [each.logprob for each in drawn.top] == pytest.approx(
                best.values.tolist(), abs=2e-5
            )
            ids.append(drawn.id)


def test_logprobs_only_where_asked_for():
    """Catches 0 alternatives taken for no log-probability at all, and more than there are."""
    runner, prompt = runner_of("llama/tied"), rows_of("llama/tied")[0][:9]
    (without,), (none,), (every,) = (
        next(iter(generate(runner, prompt, GREEDY, max_new_tokens=1, logprobs=count)))
        for count in (None, 0, 1000)
    )
    assert (without.logprob, without.top) == (None, ())
    assert none.logprob is not None and none.top == ()
    assert len(every.top) == runner.spec.vocab
    assert every.top[0] == Alternative(every.id, every.logprob)
    assert {without.id, none.id} == {every.id}
