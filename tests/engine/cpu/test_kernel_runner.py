"""The runner of the kernels, with a slow stand-in for them: against torch, and against itself."""

from __future__ import annotations

import functools
from itertools import chain

import numpy as np
import pytest

from gptcli.engine.asking import continuations, scoring
from gptcli.engine.asking.place_scoring import score_places
from gptcli.engine.asking.prefix import PrefixCache, begin
from gptcli.engine.asking.tree import Branch, TreeGrower
from gptcli.engine.cpu.run.runner import KernelRunner
from gptcli.types.sampling import Sampling
from tests.engine import numpy_llama
from tests.engine.helpers import GOLDENS, drawn, rows_of, runner_of, whole

CASES = ["llama/tied", "llama/untied", "llama/biases", "llama/head_dim", "llama/one_kv_head"]
every_case = pytest.mark.parametrize("case", [*CASES, "llama/sharded"])
#: float32 sums in another order, as in test_invariants.
NOISE = 3e-5
WISHES = [
    Sampling(temperature=1.3, top_k=20),
    Sampling(temperature=0, repeat_penalty=1.5, presence_penalty=0.4),
    Sampling(temperature=0.9, top_p=0.9, min_p=0.02, logit_bias=((3, 2.0), (4, -np.inf))),
]


@functools.cache
def kernels_of(case: str) -> KernelRunner:
    return numpy_llama.runner(GOLDENS / case)


def close(ours: object, theirs: object) -> None:
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), atol=NOISE, rtol=0)


@every_case
def test_logits_are_those_of_torch(case):
    """Catches positions, rows or wanted places that are shifted; a stand-in that is no Llama."""
    runner = kernels_of(case)
    for row, expected in zip(rows_of(case), whole(case), strict=True):
        logits = runner.all_logits(row, runner.new_state())
        assert logits.dtype == np.float32
        close(logits, expected)


@pytest.mark.parametrize("chunk", [1, 3, 7, 512])
def test_rows_of_unequal_length_are_each_alone(chunk):
    """Catches a chunk across the border of two rows that counts for the wrong one of them."""
    case = "llama/tied"
    runner, (a, b) = kernels_of(case), rows_of(case)
    expected = whole(case)
    cache = runner.new_state(3)
    logits = runner.prefill([a[:9], b[:2], a[:14]], cache, chunk=chunk)
    assert cache.lengths == [9, 2, 14]
    close(logits, np.stack([expected[0][8], expected[1][1], expected[0][13]]))
    for step in range(3):
        logits = runner.decode([a[9 + step], b[2 + step], a[14 + step]], cache)
        close(logits, np.stack([expected[at][end + step] for at, end in ((0, 9), (1, 2), (0, 14))]))
    cache.pick([2, 0])
    assert cache.truncate([11, 11])
    logits = runner.prefill([a[11:13], a[11:16]], cache, chunk=chunk)
    close(logits, np.stack([expected[0][12], expected[0][15]]))


@pytest.mark.parametrize(("first", "chunk", "rows"), [(0, 512, 5), (9, 4, 3), (9, 2, 100)])
def test_parts_are_the_whole_from_a_place_on(first, chunk, rows):
    """Catches parts that overlap or are too large, and a beginning whose logits are computed."""
    case = "llama/tied"
    runner, row = kernels_of(case), rows_of(case)[0]
    runner.model.calls.clear()
    cache = runner.new_state()
    parts = list(runner.logits_in_parts(row, cache, first=first, chunk=chunk, rows=rows))
    close(np.concatenate(parts), whole(case)[0][first:])
    assert max(map(len, parts)) <= rows and cache.lengths == [len(row)]
    assert sum(wanted for _, wanted in runner.model.calls) == len(row) - first
    assert max(tokens for tokens, _ in runner.model.calls) <= chunk


@pytest.mark.parametrize("most", [1, 4, 100])
def test_logits_of_rows_are_each_alone(most):
    """Catches an empty row that takes the place of another, and parts that are too large."""
    case = "llama/tied"
    runner, (a, b) = kernels_of(case), rows_of(case)
    cache = runner.new_state(3)
    runner.prefill([a[:3], b[:5], a[:1]], cache)
    parts = list(runner.logits_of_rows([a[3:10], [], a[1:3]], cache, most=most))
    close(np.concatenate(parts), np.concatenate([whole(case)[0][3:10], whole(case)[0][1:3]]))
    assert max(map(len, parts)) <= most and cache.lengths == [10, 5, 3]


def test_a_prompt_wants_only_its_last_logits():
    """Catches a head that runs on every token of a prompt: most of the work of a small model."""
    runner, row = kernels_of("llama/tied"), rows_of("llama/tied")[0]
    runner.model.calls.clear()
    runner.prefill([row[:9]], runner.new_state(), chunk=4)
    assert runner.model.calls == [(4, 0), (4, 0), (1, 1)]


@pytest.mark.parametrize("wish", WISHES)
@pytest.mark.parametrize("logprobs", [None, 3])
def test_the_same_seed_draws_the_same_text_as_through_torch(wish, logprobs):
    """Catches draws that depend on who computed the logits, and a stage that only torch has."""
    case = "llama/tied"
    a, b = rows_of(case)
    prompts = [list(a[:9]), list(b[:4]), list(a[:11])]

    def steps(runner):
        generation = drawn(
            PrefixCache(runner),
            prompts,
            wish,
            max_new_tokens=12,
            seed=2**32 - 2,
            logprobs=logprobs,
            fitting=lambda drawn: [5, 6, 7] if len(drawn) == 1 else None,
        )
        return [drawn for step in generation for drawn in step]

    ours, theirs = steps(kernels_of(case)), steps(runner_of(case))
    assert [(d.sample, d.id, d.ends) for d in ours] == [(d.sample, d.id, d.ends) for d in theirs]
    for one, other in zip(ours, theirs, strict=True) if logprobs else ():
        assert one.logprob == pytest.approx(other.logprob, abs=NOISE)
        assert one.allowed == pytest.approx(other.allowed, abs=NOISE)
        assert [each.id for each in one.top] == [each.id for each in other.top]


def test_scores_are_those_of_torch():
    """Catches a scorer that needs tensors, and columns that are mixed up."""
    case = "llama/tied"
    row = rows_of(case)[0]
    plan = scoring.windows(len(row), 1, 12, 5)
    ours, theirs = (list(scoring.score(r, row, plan)) for r in (kernels_of(case), runner_of(case)))
    assert [(s.id, s.rank, s.best) for s in ours] == [(s.id, s.rank, s.best) for s in theirs]
    close(*([(s.logprob, s.best_logprob) for s in each] for each in (ours, theirs)))


def test_continuations_and_places_are_those_of_torch():
    """Catches pieces that are given back in another order than they were run in."""
    case = "llama/tied"
    a, b = rows_of(case)
    prompts = [list(a[:6]), [*a[:4], *b[:3]]]
    rows = [[[3], list(b[:5]), [9, 8]], [list(a[7:12]), [1, 2], [4]]]
    both = [PrefixCache(runner) for runner in (kernels_of(case), runner_of(case))]
    ours, theirs = (continuations.logprobs_after(prefix, prompts, rows) for prefix in both)
    for mine, other in zip(chain(*ours), chain(*theirs), strict=True):
        close(mine, other)
    one, other = (score_places(prefix, a[:12], [2, 7], [0, 5]) for prefix in both)
    close([*one.after, one.ends], [*other.after, other.ends])


def test_trees_are_those_of_torch():
    """Catches branches that ride on the wrong row of the cache."""
    case = "llama/tied"

    def flat(branches: list[Branch]) -> list[tuple[int, float]]:
        return [pair for b in branches for pair in [(b.id, b.joint), *flat(b.children)]]

    ours, theirs = (
        flat(
            TreeGrower(runner, depth=3, width=3, least=-np.inf, end_ids=(2,), most=100).grow(
                rows_of(case)[0][:5]
            )
        )
        for runner in (kernels_of(case), runner_of(case))
    )
    assert [token for token, _ in ours] == [token for token, _ in theirs]
    close([joint for _, joint in ours], [joint for _, joint in theirs])


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("float32", np.float32),
        ("float16", np.float32),
        ("bfloat16", np.uint16),
        *((name, np.float16) for name in ("int8", "int4", "q4_k+q6_k+bfloat16", "float8+bfloat16")),
    ],
)
def test_what_keys_and_values_are_kept_in(name, dtype):
    """Catches weights of few bits beside keys and values that are rounded without need."""
    runner = numpy_llama.runner(GOLDENS / "llama/tied", name)
    assert runner.facts.itemsize == np.dtype(dtype).itemsize
    assert {each.keys.dtype for each in runner.new_state().layers} == {np.dtype(dtype)}


@pytest.mark.parametrize(("name", "bits"), [("bfloat16", 8), ("int4", 11)])
def test_a_cache_of_two_bytes(name, bits):
    """Catches bits that are copied as numbers when the cache grows, or rows are picked."""
    case = "llama/tied"
    runner, row = numpy_llama.runner(GOLDENS / case, name), rows_of(case)[0]
    assert (runner.facts.itemsize, runner.facts.dtype) == (2, name)
    _, logits = begin(PrefixCache(runner), [list(row), list(row), [*row[:8], 3]])
    alone = runner.all_logits(row, runner.new_state())[-1]
    exact = whole(case)[0][-1].numpy()
    largest = np.abs(exact).max()
    # A key's last bit may fall otherwise, since sums in another order are not quite the same.
    apart = 2.0**-bits * largest
    np.testing.assert_allclose(logits[:2], np.stack([alone, alone]), atol=apart, rtol=0)
    # So many bits of each key and value.
    assert 0 < np.abs(alone - exact).max() < 4 * apart


@pytest.mark.parametrize("at", range(5))
def test_an_interruption_leaves_the_prefix_usable(monkeypatch, at):
    """Catches tokens that are counted though they were not stored, or the other way round."""
    case = "llama/tied"
    runner, row = numpy_llama.runner(GOLDENS / case), rows_of(case)[0]
    prefix, forward = PrefixCache(runner), runner.model.forward
    prefix.prefill(row[:4])

    def interrupted(*given, **more):
        logits = forward(*given, **more)
        if len(runner.model.calls) == 2 + at:
            raise KeyboardInterrupt
        return logits

    monkeypatch.setattr(runner.model, "forward", interrupted)
    with pytest.raises(KeyboardInterrupt):
        for _ in drawn(prefix, [list(row[:9])], WISHES[0], max_new_tokens=9):
            pass
    monkeypatch.undo()
    close(prefix.prefill(row[:15])[0], whole(case)[0][14])
