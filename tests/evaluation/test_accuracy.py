"""Figures of an evaluation, against values worked out by hand or published."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptcli.evaluation.accuracy import evaluate, is_right, wilson
from gptcli.types.evaluation import Accuracies, Outcome


@pytest.mark.parametrize(
    ("successes", "count", "low", "high"),
    [
        # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_equals_published_intervals(successes, count, low, high):
    """Catches a slip in the formula of the score interval."""
    assert wilson(successes, count) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share(pair):
    """Catches an interval that leaves [0, 1] or the share itself out."""
    low, high = wilson(*pair)
    assert 0 <= low <= pair[0] / pair[1] + 1e-12 and pair[0] / pair[1] <= high + 1e-12 <= 1 + 2e-12


def test_figures_by_hand():
    """Catches rows and columns that are swapped, and a class that was never answered."""
    pairs = [("a", "a"), ("a", "b"), ("a", "a"), ("b", "b"), ("b", "a"), ("c", "a")]
    found = evaluate([Outcome(*pair) for pair in pairs], labels=("a", "b", "c", "d"))
    assert (found.count, found.correct, found.accuracy) == (6, 3, 0.5)
    assert found.confusion == ((2, 1, 0, 0), (1, 1, 0, 0), (1, 0, 0, 0), (0, 0, 0, 0))
    a, b, c, d = found.classes
    assert (a.precision, a.recall, a.f1, a.support) == (2 / 4, 2 / 3, 4 / 7, 3)
    assert (b.precision, b.recall, b.f1, b.support) == (1 / 2, 1 / 2, 1 / 2, 2)
    assert (c.precision, c.recall, c.f1, c.support) == (None, 0.0, 0.0, 1)
    assert (d.precision, d.recall, d.f1, d.support) == (None, None, None, 0)
    assert found.macro_f1 == pytest.approx((4 / 7 + 1 / 2 + 0) / 3)
    # A class that was answered and never due counts, as in scikit-learn.
    assert evaluate([Outcome("a", "a"), Outcome("a", "x")]).macro_f1 == pytest.approx(1 / 3)
    assert found.calibration_error is None and found.log_loss is None and found.bins == ()


def test_calibration_by_hand():
    """Catches bins of the wrong width, weights that are left out, and 1.0 outside of all bins."""
    outcomes = [
        Outcome("a", "a", 1.0, 1.0),
        Outcome("a", "b", 0.95, 0.05),
        Outcome("a", "a", 0.62, 0.62),
        Outcome("b", "a", 0.68, 0.32),
        Outcome("b", "b", 0.5, 0.5),
    ]
    found = evaluate(outcomes)
    assert [(each.low, each.count) for each in found.bins] == [(0.5, 1), (0.6, 2), (0.9, 2)]
    gaps = [abs(1 - 0.5) * 1, abs(0.5 - 0.65) * 2, abs(0.5 - 0.975) * 2]
    assert found.calibration_error == pytest.approx(sum(gaps) / 5)
    logs = [math.log(each) for each in (1.0, 0.05, 0.62, 0.32, 0.5)]
    assert found.log_loss == pytest.approx(-sum(logs) / 5)


def test_a_share_of_nothing_is_a_large_loss_and_no_error():
    """Catches log(0)."""
    assert 20 < evaluate([Outcome("a", "b", 1.0, 0.0)]).log_loss < math.inf


@pytest.mark.parametrize(
    ("expected", "answer", "exact", "loose"),
    [
        ("Paris", " Paris\n", True, True),
        ("Paris", "paris.", False, True),
        ("La  maison", "« la maison »", False, True),
        ("naïve", "nai\u0308ve", False, True),
        ("Paris", "Paris, France", False, False),
        ("3.5", "35", False, False),
    ],
)
def test_matches(expected, answer, exact, loose):
    """Catches a comparison that is stricter, or looser, than it says."""
    outcome = Outcome(expected, answer)
    assert is_right(outcome, "exact") is exact
    assert is_right(outcome, "loose") is loose
    assert evaluate([outcome], match="loose").correct == loose


def test_many_free_answers_have_no_matrix():
    """Catches a table of a thousand columns."""
    found = evaluate([Outcome(str(n), str(n)) for n in range(31)])
    assert found.confusion is None and found.classes == () and found.accuracy == 1


def test_spread():
    """Catches the deviation of a whole population where these are samples."""
    assert Accuracies((0.5, 0.7, 0.9)).mean == pytest.approx(0.7)
    assert Accuracies((0.5, 0.7, 0.9)).deviation == pytest.approx(0.2)
    assert Accuracies((0.5,)).deviation == 0
