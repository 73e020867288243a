"""Answers and evaluations as they look, at any width."""

from __future__ import annotations

import pytest

from gptcli.evaluation.accuracy import evaluate
from gptcli.types.evaluation import Accuracies, Outcome
from gptcli.types.few_shot import Answer, Example, FewShotUsage, Judged, LabelShare, LeftOut, Report
from gptcli.types.sampling import Sampling
from gptcli.types.token import Source
from gptcli.ui.views import evaluation, few_shot
from tests.ui.screens import assert_unbroken, seen, written

SHARES = (LabelShare("positive", -0.1, 0.9), LabelShare("a\x1b[31m label\nof two lines", -2.3, 0.1))
TEXTS = (
    "kurz",
    "word " * 60,
    "日本語のテキスト" * 12,
    "مرحبا بعالم طويل " * 9,
    "\x1b[2Jcleared\n\tx",
)


def answers(shares=()):
    for place, text in enumerate(TEXTS):
        yield Answer(place, text, shares[0].label if shares else text, "stop", 9, 3, 2, shares)


@pytest.mark.parametrize("width", [20, 60, 80, 200])
@pytest.mark.parametrize("shares", [(), SHARES])
def test_many_answers_are_a_line_each(width, shares):
    """Catches a line that the terminal breaks, and control characters that are obeyed."""
    text = written(lambda out: few_shot.show(answers(shares), out, many=True), width)
    assert "\x1b[2J" not in text
    assert_unbroken(text, width)
    lines = seen(text, width)
    assert len(lines) == len(TEXTS)
    if shares:
        assert all(line.endswith("90.00%") for line in lines)


@pytest.mark.parametrize("width", [20, 60, 200])
def test_labels_of_one_answer(width):
    """Catches a ranking that is not by share, and a label that drives the terminal."""
    shares = (SHARES[1], SHARES[0])
    answer = Answer(0, "x", "positive", "label", 9, 0, 0, shares)
    text = written(lambda out: few_shot.show([answer], out, many=False), width)
    assert_unbroken(text, width)
    assert "\x1b[31m label" not in text
    lines = seen(text, width)
    assert lines[1].startswith("positive"[:8]) and "90.00%" in lines[1] and "10.00%" in lines[2]


def report(classes: int) -> Report:
    names = [f"class {place} " + "long " * (place % 4) for place in range(classes)]
    rows = [
        Judged(f"row {n}", Outcome(names[n % classes], names[n * 7 % classes], 0.6, 0.3))
        for n in range(4 * classes)
    ]
    usage = FewShotUsage(9, 900, 100, 30, 61.5, Source("m", "cpu", "float32"), 7, Sampling())
    left = tuple(
        LeftOut(Example(text, "out " * 9), 0.5, added, added_log)
        for text, added, added_log in zip(
            TEXTS, (0.1, 0, -0.1, 0, 1), (1, 2, 0, -3, 1), strict=True
        )
    )
    found = evaluate([each.outcome for each in rows])
    return Report(found, "exact", tuple(rows), Accuracies((0.5, 0.75)), left, usage)


@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("classes", [2, 12, 31])
def test_evaluations_fit(width, classes):
    """Catches a confusion matrix that is wider than the terminal."""
    text = written(lambda out: evaluation.show(report(classes), out), width)
    lines = seen(text, width)
    assert max(map(len, lines)) <= width
    assert "\x1b[2J" not in text
    shown = "\n".join(lines)
    assert "accuracy" in shown and "it adds" in shown
    assert ("due \\ answered" in shown) == (classes <= 30)
