"""Every stage of sampling against a slow definition of its own, and against transformers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from random import Random
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gptcli.engine.asking import filters, penalties, sampling
from gptcli.engine.asking.drawing import draw, generators, next_ids
from gptcli.engine.asking.history import History
from gptcli.engine.asking.sampling import distribution, stages
from gptcli.errors import NonFiniteError
from gptcli.types.rules import Rules
from gptcli.types.sampling import Sampling

INF = math.inf
NOTHING = History()
BELOW_ONE = math.nextafter(1.0, 0.0)

# Few values, so that ties are common, or any; -inf is a token that is already forbidden.
_logit = st.one_of(
    st.sampled_from([-INF, -2.0, 0.0, 0.5, 3.0]), st.floats(-30, 30, width=32, allow_nan=False)
)
_row = st.lists(_logit, min_size=1, max_size=12).filter(lambda row: max(row) > -INF)
_share = st.floats(1e-3, 1, allow_nan=False)
quick = settings(max_examples=60, deadline=None)


def probabilities(row: list[float]) -> list[float]:
    best = max(row)
    weights = [math.exp(value - best) for value in row]
    return [weight / math.fsum(weights) for weight in weights]


def kept(logits: Tensor) -> list[bool]:
    return (logits[0] > -INF).tolist()


def random_logits(rows: int, vocab: int, seed: int, spread: float = 3.0) -> Tensor:
    return spread * torch.randn(rows, vocab, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def theirs() -> ModuleType:
    from transformers.generation import logits_process

    return logits_process


# Ranking


@quick
@given(_row, st.integers(1, 14))
def test_likeliest_breaks_ties_by_id(row, count):
    """Catches ties that fall by chance, so that a width or a count changes what comes first."""
    values, ids = sampling.likeliest(torch.tensor([row, row[::-1]]), count)
    for logits, got, at in zip((row, row[::-1]), values.tolist(), ids.tolist(), strict=True):
        order = sorted(range(len(logits)), key=lambda i: (-logits[i], i))[:count]
        assert at == order
        assert got == [pytest.approx(logits[i]) for i in order]


# Filters


@quick
@given(_row, st.integers(1, 14))
def test_top_k_keeps_the_k_best_and_their_ties(row, k):
    """Catches an arbitrary choice among ties, and k beyond the vocabulary."""
    least = sorted(row, reverse=True)[:k][-1]
    expected = [value if value >= least else -INF for value in row]
    assert filters.top_k(torch.tensor([row]), k)[0].tolist() == torch.tensor(expected).tolist()


@quick
@given(_row, _share)
def test_top_p_keeps_the_fewest_that_reach_p(row, p):
    """Catches leaving out the token that crosses p, one too many, or ties told apart."""
    logits = torch.tensor([row])
    out = filters.top_p(logits, p)
    chosen = [i for i, keep in enumerate(kept(out)) if keep]
    chance = probabilities(logits[0].tolist())
    assert torch.equal(out[0, chosen], logits[0, chosen])
    least = min(row[i] for i in chosen)
    # Apart from tokens that were forbidden before, no dropped one is as good as the worst kept.
    assert all(i in chosen for i, value in enumerate(row) if value >= least)
    assert math.fsum(chance[i] for i in chosen) >= p - 1e-6
    without = math.fsum(chance[i] for i in chosen if row[i] > least)
    assert without < p + 1e-6


@quick
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 5, 127, 128, 129, 1500]),
    st.sampled_from([0.01, 0.5, 3.0]),
    _share,
    st.booleans(),
)
def test_top_p_equals_top_p_by_sorting(seed, vocab, spread, p, ties):
    """Catches the short cut of looking at the best candidates only, where their mass falls short.

    A spread of 0.01 over 1500 tokens needs far more than the first candidates.
    """
    logits = random_logits(3, vocab, seed, spread)
    if ties:
        logits = logits.round(decimals=1)
    logits[1, : vocab // 2] = -INF
    assert torch.equal(filters.top_p(logits, p), filters.top_p_by_sorting(logits, p))


def test_top_p_takes_more_than_the_first_candidates():
    """Catches a vocabulary-wide nucleus that is cut at the first few hundred."""
    flat = torch.arange(2000.0)[None] * 1e-6
    assert sum(kept(filters.top_p(flat, 0.9))) == pytest.approx(1800, abs=3)
    assert sum(kept(filters.top_p(flat, 1 - 1e-12))) == 2000


@quick
@given(_row, _share)
def test_min_p_keeps_what_is_near_the_best(row, p):
    """Catches a share of the whole instead of a share of the best."""
    out = kept(filters.min_p(torch.tensor([row]), p))
    chance = probabilities(torch.tensor(row).tolist())
    for keep, each in zip(out, chance, strict=True):
        # Within a rounding of the border either is right.
        if not math.isclose(each, p * max(chance), rel_tol=1e-5):
            assert keep == (each > p * max(chance))
    assert out[int(np.argmax(row))]


@quick
@given(_row, st.floats(0.05, 20))
def test_temperature_divides(row, value):
    """Catches multiplying, and a shift that changes probabilities or frees a forbidden token."""
    logits = torch.tensor([row])
    ours = filters.temperature(logits, value).double().softmax(dim=-1)
    expected = (logits.double() / value).softmax(dim=-1)
    # An error of an ulp in a difference of up to 60, divided by the temperature.
    torch.testing.assert_close(ours, expected, rtol=0, atol=60 * 2**-23 / value)


@pytest.mark.parametrize("value", [1e-30, 1e-38, 1e-46, 5e-324])
def test_tiny_temperature_is_greedy(value):
    """Catches an overflow to inf - inf, and a temperature that float32 rounds to 0."""
    logits = torch.tensor([[1e4, -INF, 1e4, 9999.0, -1e4], [-3.0, -3.5, -4.0, -INF, -5.0]])
    ours = filters.temperature(logits, value).softmax(dim=-1)
    assert ours.tolist() == [[0.5, 0, 0.5, 0, 0], [1, 0, 0, 0, 0]]


@pytest.mark.parametrize("value", [1e30, 1e300])
def test_huge_temperature_is_uniform(value):
    """Catches an overflow, and forbidden tokens that a huge temperature frees."""
    logits = torch.tensor([[1e4, -INF, 0.0, -1e4, 5.0]])
    assert filters.temperature(logits, value).softmax(dim=-1).tolist() == [[0.25, 0] + [0.25] * 3]


@quick
@given(_row)
def test_greedy_keeps_the_lowest_id_of_the_best(row):
    """Catches ties that fall differently from machine to machine."""
    out = filters.greedy(torch.tensor([row, row]))
    best = int(np.argmax(np.array(row, dtype=np.float32)))
    for each in out.tolist():
        assert [i for i, value in enumerate(each) if value > -INF] == [best]
    assert out[0, best] == torch.tensor(row)[best]


@quick
@given(_row, st.integers(1, 12), _share, _share, st.floats(1e-3, 1e3))
def test_filters_together_keep_the_best_and_what_is_drawn(row, k, p, least, warmth):
    """Catches filters that between them leave nothing, or a draw from what they took away."""
    wish = Sampling(temperature=warmth, top_k=k, top_p=p, min_p=least)
    final = distribution(torch.tensor([row]), wish, [NOTHING])
    assert kept(final)[int(np.argmax(np.array(row, dtype=np.float32)))]
    generator = Random(0)
    for _ in range(5):
        assert kept(final)[draw(final, [generator])[0]]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("name", "setting", "ours"),
    [
        ("TopKLogitsWarper", 7, filters.top_k),
        ("TopKLogitsWarper", 500, filters.top_k),
        ("TopPLogitsWarper", 0.3, filters.top_p),
        ("TopPLogitsWarper", 0.95, filters.top_p),
        ("TopPLogitsWarper", 0.999, filters.top_p),
        ("MinPLogitsWarper", 0.05, filters.min_p),
        ("MinPLogitsWarper", 0.7, filters.min_p),
    ],
)
def test_filters_equal_transformers(theirs, name, setting, ours, seed):
    """Catches another meaning of a word that users know from elsewhere."""
    logits = random_logits(3, 300, seed)
    assert torch.equal(ours(logits, setting), getattr(theirs, name)(setting)(None, logits.clone()))


@pytest.mark.parametrize("value", [0.3, 0.8, 2.5])
def test_temperature_equals_transformers(theirs, value):
    """Catches another meaning of temperature than everyone's."""
    logits = random_logits(3, 300, 1)
    expected = theirs.TemperatureLogitsWarper(value)(None, logits).softmax(dim=-1)
    ours = filters.temperature(logits, value).softmax(dim=-1)
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=0)


# Penalties and bias


@quick
@given(
    st.integers(0, 1000),
    st.lists(st.integers(0, 29), max_size=20),
    st.lists(st.integers(0, 29), min_size=1, max_size=20),
    st.floats(0.1, 10),
)
def test_repeat_penalty_equals_transformers(theirs, seed, prompt, generated, penalty):
    """Catches the sign rule (negative logits are multiplied), and a token penalised twice."""
    logits = random_logits(1, 30, seed)
    logits[0, 3] = 0.0
    ours = penalties.repeat_penalty(logits, penalty, [History(prompt, generated)])
    processor = theirs.RepetitionPenaltyLogitsProcessor(penalty)
    expected = processor(torch.tensor([prompt + generated]), logits.clone())
    assert torch.equal(ours, expected)


def test_repeat_penalty_is_each_rows_own():
    """Catches one row's past used for all, and an input that is changed in place."""
    logits = torch.tensor([[2.0, -2.0, 4.0]] * 3)
    before = logits.clone()
    histories = [History((0,), [1]), History(), History((), [2, 2])]
    ours = penalties.repeat_penalty(logits, 2.0, histories)
    assert ours.tolist() == [[1, -4, 4], [2, -2, 4], [2, -2, 2]]
    assert torch.equal(logits, before)


@quick
@given(
    st.lists(st.lists(st.integers(0, 9), max_size=15), min_size=1, max_size=3),
    st.floats(-5, 5, width=16),
    st.floats(-5, 5, width=16),
)
def test_count_penalties_count_what_was_generated(histories, presence, frequency):
    """Catches counting the prompt, or a presence that grows with the count."""
    logits = random_logits(len(histories), 10, 3)
    rows = [History([0, 1, 2, 3], generated) for generated in histories]
    ours = penalties.count_penalties(logits, presence, frequency, rows)
    for row, generated in enumerate(histories):
        for token in range(10):
            count = generated.count(token)
            cost = presence * (count > 0) + frequency * count
            assert ours[row, token].item() == pytest.approx(
                logits[row, token].item() - cost, abs=1e-5
            )


def test_bias_is_added_and_forbids():
    """Catches a bias that multiplies, hits one row only, or loses the second of two."""
    logits = torch.tensor([[1.0, 2.0, 3.0], [-1.0, 0.0, -INF]])
    ours = penalties.bias(logits, [(0, 2.5), (1, -INF), (0, -1.0), (2, 4.0)])
    assert ours.tolist() == [[2.5, -INF, 7.0], [0.5, -INF, -INF]]
    assert logits[0, 0] == 1.0


def test_a_forbidden_token_is_never_the_result():
    """Catches a bias that comes after the choice."""
    logits = torch.tensor([[9.0, 1.0, 0.0]])
    for warmth in (0.0, 1.0):
        wish = Sampling(temperature=warmth, logit_bias=((0, -INF),))
        final = distribution(logits, wish, [NOTHING])
        assert kept(final)[0] is False
    assert draw(
        distribution(logits, Sampling(temperature=0, logit_bias=((0, -INF),)), [NOTHING]),
        [Random()],
    ) == [1]


# Order


ALL = Sampling(
    temperature=0.7,
    top_k=9,
    top_p=0.9,
    min_p=0.1,
    repeat_penalty=1.3,
    presence_penalty=0.5,
    frequency_penalty=0.25,
    logit_bias=((3, 1.5),),
)


def test_stages_run_in_the_documented_order_each_on_the_last_ones_result():
    """Catches a changed order, and a stage that starts again from the raw logits."""
    logits = random_logits(2, 40, 5)
    histories = [History([1, 2], [3, 3]), History([4], [])]
    chain: list[tuple[str, Callable[[Tensor], Tensor]]] = [
        ("logits", lambda x: x),
        ("repeat-penalty", lambda x: penalties.repeat_penalty(x, 1.3, histories)),
        (
            "presence/frequency-penalty",
            lambda x: penalties.count_penalties(x, 0.5, 0.25, histories),
        ),
        ("logit-bias", lambda x: penalties.bias(x, [(3, 1.5)])),
        ("temperature", lambda x: filters.temperature(x, 0.7)),
        ("top-k", lambda x: filters.top_k(x, 9)),
        ("top-p", lambda x: filters.top_p_by_sorting(x, 0.9)),
        ("min-p", lambda x: filters.min_p(x, 0.1)),
    ]
    found = list(stages(logits, ALL, histories))
    assert [name for name, _ in found] == [name for name, _ in chain]
    expected = logits
    for (_, step), (_, ours) in zip(chain, found, strict=True):
        expected = step(expected)
        assert torch.equal(ours, expected)
    assert torch.equal(distribution(logits, ALL, histories), expected)


def test_greedy_ends_the_stages():
    """Catches filters after greedy, which could take the chosen token away."""
    logits = random_logits(1, 40, 5)
    wish = replace(ALL, temperature=0.0)
    names = [name for name, _ in stages(logits, wish, [NOTHING])]
    assert names[-1] == "greedy" and len(names) == 5


@quick
@given(_row, st.sampled_from([1.0, 1.7]), st.integers(0, 11))
def test_greedy_ids_are_those_of_the_distribution(row, penalty, forbidden):
    """Catches a shortcut of greedy decoding that leaves out a stage, or breaks ties otherwise."""
    bias = ((forbidden % len(row), -INF),)
    wish = Sampling(temperature=0, repeat_penalty=penalty, logit_bias=bias)
    histories = [History([0], [len(row) - 1])]
    for logits in (torch.tensor([row]), np.array([row], dtype=np.float32)):
        try:
            expected = draw(distribution(logits, wish, histories), generators(3, 1))
        except NonFiniteError:
            with pytest.raises(NonFiniteError):
                next_ids(logits, wish, histories, generators(3, 1))
            continue
        assert next_ids(logits, wish, histories, generators(3, 1)) == expected


def test_stages_that_are_off_do_not_run(monkeypatch):
    """Catches a default that changes the model's own distribution, be it by a rounding."""
    for name in ("repeat_penalty", "count_penalties", "bias"):
        monkeypatch.delattr(penalties, name)
    for name in ("greedy", "temperature", "dynamic", "top_n_sigma", "top_k", "typical_p", "top_p"):
        monkeypatch.delattr(filters, name)
    for name in ("min_p", "xtc"):
        monkeypatch.delattr(filters, name)
    monkeypatch.delattr(sampling, "dry")
    logits = random_logits(1, 40, 5)
    assert [name for name, _ in stages(logits, Sampling(), [History([1], [2])])] == ["logits"]
    assert distribution(logits, Sampling(), [NOTHING]) is logits


# Numbers that are none


@pytest.mark.parametrize("wish", [Sampling(), Sampling(temperature=0), ALL], ids=["", "0", "all"])
@pytest.mark.parametrize("row", [[math.nan, 1.0], [INF, 1.0], [-INF, -INF], [INF, math.nan]])
def test_rows_without_a_distribution_are_refused(row, wish):
    """Catches a broken model that seems to write, and a check of the first row only."""
    logits = torch.tensor([[0.0, 1.0], row]).repeat(1, 20)
    with pytest.raises(NonFiniteError, match="NaN or infinite") as caught:
        distribution(logits, wish, [NOTHING] * 2)
    assert caught.value.exit_code == 8


def test_one_forbidden_token_is_no_error():
    """Catches a check that takes every -inf for damage."""
    logits = torch.tensor([[-INF, 1.0, 2.0]])
    assert torch.equal(distribution(logits, Sampling(), [NOTHING]), logits)


def test_settings_that_leave_no_distribution_are_refused():
    """Catches NaN that a bias on every token, or a penalty near 0, would let through, and weights
    that are blamed for a setting.
    """
    logits = torch.tensor([[1.0, 2.0]])
    rules = Rules(forbidden=(0, 1))
    for wish, step in (
        (Sampling(logit_bias=((0, -INF), (1, -INF))), "logit-bias"),
        (Sampling(repeat_penalty=1e-40), "repeat-penalty"),
        (Sampling(rules=rules), "model-rules"),
        (Sampling(rules=Rules(biases=(((0,), 1e39), ((0,), 1e39)))), "model-biases"),
    ):
        with pytest.raises(NonFiniteError, match=f"^{step}: leaves no token") as caught:
            distribution(logits, wish, [History([0])])
        assert caught.value.hint is None


# Drawing


class Always(Random):
    """A generator whose every uniform number is this one."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def random(self) -> float:
        return self.value


def test_draws_follow_the_distribution():
    """Catches a biased draw. 5.8 deviations of chi-square: a right draw passes any sane seed."""
    logits = random_logits(1, 40, 11, spread=1.5)
    count = 40_000
    generator = Random(7)
    ids = draw(logits.expand(count, -1), [generator] * count)
    expected = torch.tensor(probabilities(logits[0].tolist())) * count
    seen = torch.bincount(torch.tensor(ids), minlength=40)
    chi_square = ((seen - expected) ** 2 / expected).sum().item()
    freedom = 39
    assert chi_square < freedom + 5.8 * math.sqrt(2 * freedom)


@pytest.mark.parametrize("uniform", [0.0, 5e-324, 0.25, 0.5, 0.75, BELOW_ONE])
def test_a_token_of_probability_zero_is_never_drawn(uniform):
    """Catches the ends of the sums: 0.0 falling on a forbidden first token, 1 beyond the last."""
    for row in (
        [-INF, -INF, 0.0, -INF, 0.0, -INF, -INF],
        [-INF, 0.0, -INF],
        [0.0, -INF, -INF, 0.0],
        [-1e4, 3.0, -1e4, 3.0, -1e4],
        [0.1 * i if i % 3 == 1 else -INF for i in range(999)],
    ):
        logits = torch.tensor([row])
        token = draw(logits, [Always(uniform)])[0]
        assert logits.softmax(dim=-1)[0, token] > 0


def test_each_token_is_drawn_from_its_own_stretch():
    """Catches sums in float32, in which rare tokens after a likely one have no stretch at all."""
    logits = torch.tensor([[0.0, -20.0, -INF, -21.0, -3.0, -19.0, -20.5]])
    chance = logits.softmax(dim=-1)[0].tolist()
    total = math.fsum(chance)
    before = 0.0
    for token, each in enumerate(chance):
        if each:
            middle = Always((before + each / 2) / total)
            assert draw(logits, [middle]) == [token]
        before += each


def test_draws_do_not_depend_on_the_batch():
    """Catches one generator shared by rows, or numbers drawn for rows that are not there."""
    logits = random_logits(6, 50, 2)

    def generators(rows: list[int]) -> list[Random]:
        return [Random(100 + row) for row in rows]

    together = generators(list(range(6)))
    batch = [draw(logits, together) for _ in range(10)]
    for rows in ([3], [5, 0], [1, 2, 4]):
        some = generators(rows)
        assert [draw(logits[rows], some) for _ in range(10)] == [
            [b[r] for r in rows] for b in batch
        ]
