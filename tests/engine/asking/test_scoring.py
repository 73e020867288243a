"""Scoring a text, against its slow and obvious form."""

from __future__ import annotations

import functools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gptcli.engine.asking.scoring import Scored, Window, score, score_rows, windows
from gptcli.errors import NonFiniteError
from tests.engine.helpers import GOLDENS, rows_of, runner_of
from tests.opening import load

#: Scoring knows no family: these differ in what they see of the past, and in how they end.
FEW = (
    "gpt2/tied",
    "llama/tied",
    "mistral/window",
    "bloom/tied",
    "gemma2/capped",
    "gpt_oss/plain",
)
some_cases = pytest.mark.parametrize("case", FEW)


@functools.cache
def after(case: str, ids: tuple[int, ...]) -> torch.Tensor:
    """The logits after the last of ids, by a pass of their own."""
    return runner_of(case).all_logits(ids, runner_of(case).new_state())[-1]


#: float32 sums in another order, as in test_invariants.
NOISE = 3e-5


def assert_scored(ours: list[Scored], ids: list[int], rows: list[torch.Tensor]) -> None:
    """One row of logits for each id, held to the definitions: sort, count from the top.

    Tokens that are equal but for noise may change places.
    """
    assert [scored.id for scored in ours] == ids
    for scored, row in zip(ours, rows, strict=True):
        logprobs = torch.log(torch.softmax(row.double(), -1))
        mine = row[scored.id].item()
        assert scored.logprob == pytest.approx(logprobs[scored.id].item(), abs=NOISE)
        above = [sum(other > mine + by for other in row.tolist()) for by in (NOISE, -NOISE)]
        assert 1 + above[0] <= scored.rank <= 1 + above[1]
        assert row[scored.best].item() >= max(row.tolist()) - NOISE
        assert scored.best_logprob == pytest.approx(logprobs.max().item(), abs=NOISE)


@some_cases
@pytest.mark.parametrize(("context", "stride"), [(16, 8), (16, 1), (16, 15), (7, 3), (40, 20)])
def test_windows_equal_a_forward_pass_for_each_token(case, context, stride):
    """Catches a window off by one, a stale cache, or a token that sees more or less than it may.

    Each token is scored by a pass of its own over what its window holds before it.
    """
    runner, row = runner_of(case), rows_of(case)[0]
    ours = list(score(runner, row, windows(len(row), 1, context, stride)))
    rows = []
    for at in range(1, len(row)):
        start = next(s for s in range(0, len(row), stride) if s + context > at)
        rows.append(after(case, row[start:at]))
    assert_scored(ours, list(row[1:]), rows)


@some_cases
@pytest.mark.parametrize(
    ("context", "stride", "begins", "first"),
    [(16, 8, 1, 3), (16, 8, 3, 25), (16, 1, 1, 25), (16, 13, 3, 3), (7, 3, 3, 25), (40, 20, 3, 3)],
)
def test_what_begins_a_text_begins_every_window(case, begins, context, stride, first):
    """Catches windows after the first without a BOS token: perplexity 117 in place of 55.

    Each token is scored by a pass of its own over the beginning and what its window holds.
    """
    runner, row = runner_of(case), rows_of(case)[0]
    ours = list(score(runner, row, windows(len(row), first, context, stride, begins=begins)))
    rows = []
    for at in range(first, len(row)):
        starts = range(begins, len(row), stride)
        start = next(s for s in starts if s + context - begins > at)
        held = row[:at] if start == begins else (*row[:begins], *row[start:at])
        assert min(at, context - stride) <= len(held) < context
        rows.append(after(case, held))
    assert_scored(ours, list(row[first:]), rows)
    plain = list(score(runner, row, windows(len(row), first, context, stride)))
    # With a stride of 1 a sliding window may not reach back to a beginning.
    assert stride == 1 or (plain == ours) == (len(row) <= context), "the fault: other numbers"


@some_cases
@pytest.mark.parametrize(("chunk", "rows"), [(1, 1), (7, 3), (512, 5)])
@pytest.mark.parametrize("first", [1, 9])
def test_chunked_equals_whole(case, chunk, rows, first):
    """Catches parts that are shifted against the ids, and a beginning that is not skipped."""
    runner, row = runner_of(case), rows_of(case)[0]
    plan = windows(len(row), first, len(row), 1)
    logits = runner.all_logits(row, runner.new_state())
    ours = list(score(runner, row, plan, chunk=chunk, rows=rows))
    assert_scored(ours, list(row[first:]), list(logits[first - 1 : -1]))


def test_logits_are_never_held_for_the_whole_text(monkeypatch):
    """Catches a head that runs on all positions at once, or on those that nobody asked for."""
    runner, row = runner_of(FEW[0]), rows_of(FEW[0])[0]
    sizes = []
    head = runner.decoder.logits
    monkeypatch.setattr(
        runner.decoder, "logits", lambda stream: sizes.append(stream.size(0)) or head(stream)
    )
    list(score(runner, row, windows(len(row), 21, len(row), 1), rows=4))
    assert max(sizes) == 4
    assert sum(sizes) == len(row) - 21


@given(st.data())
def test_every_position_is_scored_once_with_enough_before_it(data):
    """Catches a token scored twice or never, or with less before it than the rule promises."""
    context = data.draw(st.integers(2, 20))
    stride = data.draw(st.integers(1, context - 1))
    total = data.draw(st.integers(0, 60))
    first = data.draw(st.integers(1, 70))
    begins = data.draw(st.integers(0, min(first, context - stride)))
    plan = windows(total, first, context, stride, begins=begins)
    scored = [(at, window) for window in plan for at in range(window.first, window.end)]
    assert [at for at, _ in scored] == list(range(first, total))
    for at, window in scored:
        assert 0 <= window.start < at + window.before
        assert window.before in (0, begins)
        assert window.before + window.end - window.start <= context
        assert window.start == 0 or (window.start - begins) % stride == 0
        assert window.before + at - window.start >= min(at, context - stride)


def test_a_text_that_fits_is_one_window():
    """Catches a second window for a text of exactly the context."""
    assert windows(16, 1, 16, 8) == [Window(0, 1, 16)]
    assert windows(17, 1, 16, 8) == [Window(0, 1, 16), Window(8, 16, 17)]
    assert windows(1, 1, 16, 8) == []


@pytest.mark.parametrize(
    ("first", "context", "stride", "begins"),
    [(0, 4, 2, 0), (1, 4, 4, 0), (1, 4, 0, 0), (1, 4, 2, 2), (3, 4, 2, 3)],
)
def test_windows_that_cannot_be(first, context, stride, begins):
    """Catches a loop without an end, and a token scored with nothing before it."""
    with pytest.raises(ValueError, match="no windows"):
        windows(10, first, context, stride, begins=begins)


def test_ties_share_a_rank_and_the_lowest_id_is_best():
    """Catches a rank that depends on the order in which equals are sorted."""
    logits = torch.tensor([[1.0, 3.0, 3.0, 2.0], [0.0, -math.inf, 5.0, 0.0]])
    first, second = score_rows(logits, [2, 3])
    assert (first.rank, first.best) == (1, 1)
    assert first.logprob == first.best_logprob
    assert (second.rank, second.best) == (2, 2)
    (impossible,) = score_rows(logits[1:], [1])
    assert (impossible.logprob, impossible.rank) == (-math.inf, 4)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_numbers_that_are_not_finite_are_an_error(bad):
    """Catches a perplexity of NaN that is printed as if it were one."""
    with pytest.raises(NonFiniteError):
        score_rows(torch.tensor([[0.0, bad, 1.0]]), [0])


def test_a_model_in_half_precision_scores_in_single(monkeypatch):
    """Catches probabilities summed in bfloat16, which has eight bits for them.

    They are held to the very logits that they are made of: what bfloat16 makes of a sum depends
    on the processor, and on how many rows run at once.
    """
    runner = load(GOLDENS / FEW[0], device="cpu", dtype="bfloat16")
    row = rows_of(FEW[0])[0]
    shown: list[torch.Tensor] = []
    head = runner.decoder.logits

    def kept(stream: torch.Tensor) -> torch.Tensor:
        shown.append(head(stream))
        return shown[-1]

    monkeypatch.setattr(runner.decoder, "logits", kept)
    ours = list(score(runner, row, windows(len(row), 1, len(row), 1), rows=7))
    assert {logits.dtype for logits in shown} == {torch.float32}
    assert_scored(ours, list(row[1:]), list(torch.cat(shown)))
