"""What rounding costs, against its slow and obvious form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gptcli.engine.asking.divergence import divergences, divergences_of_rows, side_by_side
from gptcli.engine.asking.scoring import score, windows
from gptcli.errors import NonFiniteError
from tests.engine import numpy_llama
from tests.engine.helpers import GOLDENS, rows_of, runner_of

CASE = "llama/tied"


def reference(one: np.ndarray, two: np.ndarray) -> float:
    """KL(softmax(one)‖softmax(two)) in nats: each probability by its definition, one by one."""
    p = np.exp(one.astype(np.float64) - one.max())
    q = np.exp(two.astype(np.float64) - two.max())
    p, q = p / p.sum(), q / q.sum()
    total = 0.0
    for chance, other in zip(p, q, strict=True):
        if chance > 0:
            total += chance * (math.log(chance) - (math.log(other) if other else -math.inf))
    return total


@given(st.integers(1, 40), st.integers(2, 70), st.sampled_from([0.0, 1e-3, 0.3, 5.0]), st.data())
def test_divergences_equal_their_definition(rows, vocab, noise, data):
    """Catches KL the other way round, in bits, over some tokens only, or summed in float32."""
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    one = (3 * random.normal(size=(rows, vocab))).astype(np.float32)
    two = (one + noise * random.normal(size=one.shape)).astype(np.float32)
    ids = random.integers(vocab, size=rows).tolist()
    found = list(divergences_of_rows(one, two, ids))
    assert len(found) == rows
    for each, a, b, token in zip(found, one, two, ids, strict=True):
        assert each.kl == pytest.approx(reference(a, b), rel=1e-9, abs=1e-14)
        assert each.kl >= 0
        for logprob, logits in ((each.exact, a), (each.other, b)):
            expected = float(logits[token]) - math.log(np.exp(logits.astype(np.float64)).sum())
            assert logprob == pytest.approx(expected, abs=1e-12)
        assert each.agrees == (a.argmax() == b.argmax())


def test_what_differs_little_is_not_lost():
    """Catches sums in float32, of which a divergence of 1e-10 is below the rounding."""
    random = np.random.default_rng(7)
    one = random.normal(size=(1, 50_000)).astype(np.float32)
    two = one + np.float32(1e-5) * np.sign(random.normal(size=one.shape)).astype(np.float32)
    (found,) = divergences_of_rows(one, two, [0])
    # Half the variance of the difference, to the first order.
    assert found.kl == pytest.approx(0.5e-10, rel=0.05)
    assert found.kl == pytest.approx(reference(one[0], two[0]), rel=1e-4)


def test_tokens_that_cannot_come():
    """Catches NaN of 0 · ln 0, and a token forbidden by one model only that costs nothing."""
    rows = np.array([[0, 1, -np.inf], [0, 1, -np.inf], [0, 1, 2]], np.float32)
    others = np.array([[0, 1, -np.inf], [0, 1, 5], [0, 1, -np.inf]], np.float32)
    same, more, less = divergences_of_rows(rows, others, [0, 2, 2])
    assert same.kl == 0 and same.agrees
    assert more.kl == pytest.approx(reference(rows[1], others[1])) and not more.agrees
    assert (less.kl, less.other) == (math.inf, -math.inf)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_numbers_that_are_not_finite_are_an_error(bad):
    """Catches a divergence of NaN that is printed as if it were one."""
    good, broken = np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float32)
    broken[1, 1] = bad
    for pair in ((good, broken), (broken, good)):
        with pytest.raises(NonFiniteError):
            list(divergences_of_rows(*pair, [0, 0]))


@given(st.lists(st.integers(1, 9)), st.lists(st.integers(1, 9)))
def test_parts_of_other_lengths_meet_row_by_row(left, right):
    """Catches rows that are held to the row of another position, or lost."""
    both = min(sum(left), sum(right))
    data = np.arange(max(sum(left), sum(right)), dtype=np.float32)[:, None]

    def parts(sizes):
        ends = np.cumsum(sizes)
        return (data[end - size : end] for end, size in zip(ends, sizes, strict=True))

    if sum(left) != sum(right):
        with pytest.raises(ValueError, match="more positions"):
            list(side_by_side(parts(left), parts(right)))
        return
    pairs = list(side_by_side(parts(left), parts(right)))
    assert all(np.array_equal(a, b) for a, b in pairs)
    assert sum(len(a) for a, _ in pairs) == both


@pytest.mark.parametrize(("first", "context", "stride"), [(1, 40, 20), (9, 16, 8), (1, 7, 3)])
def test_every_scored_token_is_held_to_the_same_place(first, context, stride):
    """Catches windows in which the two models see different texts; torch cuts other parts."""
    row = rows_of(CASE)[0]
    exact, other = numpy_llama.runner(GOLDENS / CASE), runner_of("llama/untied")
    plan = windows(len(row), first, context, stride)
    found = list(divergences(exact, other, row, plan))
    for name, runner in (("exact", exact), ("other", other)):
        scored = [each.logprob for each in score(runner, row, plan)]
        assert [getattr(each, name) for each in found] == pytest.approx(scored, abs=3e-6)
    whole = [(window, at) for window in plan for at in range(window.first, window.end)]
    for each, (window, at) in zip(found, whole, strict=True):
        seen = row[window.start : at]
        one = exact.all_logits(seen, exact.new_state())[-1]
        two = np.asarray(other.all_logits(seen, other.new_state())[-1])
        assert each.kl == pytest.approx(reference(one, two), rel=1e-4, abs=1e-6)


def test_logits_are_never_held_for_the_whole_text(monkeypatch):
    """Catches memory that grows with the text: the logits of all positions of a model."""
    runner, row = runner_of(CASE), rows_of(CASE)[0]
    sizes = []
    head = runner.decoder.logits
    monkeypatch.setattr(
        runner.decoder, "logits", lambda stream: sizes.append(stream.size(0)) or head(stream)
    )
    list(divergences(runner, runner, row, windows(len(row), 1, len(row), 1), rows=4))
    assert max(sizes) == 4 and sum(sizes) == 2 * (len(row) - 1)


def test_a_model_is_not_apart_from_itself():
    """Catches one model's cache that is used for the other."""
    runner, row = runner_of(CASE), torch.tensor(rows_of(CASE)[0]).tolist()
    found = list(divergences(runner, runner, row, windows(len(row), 1, 12, 5)))
    assert len(found) == len(row) - 1
    assert all(each.kl == 0 and each.agrees for each in found)
    assert [each.exact for each in found] == [each.other for each in found]
