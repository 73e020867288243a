"""DRY, XTC, typical-p, top-n-sigma, the dynamic temperature and the order of all samplers.

Each against a slow definition of its own, in float64, token by token, on random logits.
"""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gptcli.engine.asking import filters
from gptcli.engine.asking.distribution import cuts, staged
from gptcli.engine.asking.drawing import generators, next_ids
from gptcli.engine.asking.dry import dry, repeated
from gptcli.engine.asking.history import History
from gptcli.engine.asking.sampling import distribution, stages
from gptcli.types.samplers import DEFAULT_ORDER, SAMPLERS, samplers
from gptcli.types.sampling import Sampling

INF = math.inf
#: How near a border two right answers may fall on either side of it.
NEAR = 1e-4
_logit = st.one_of(
    st.sampled_from([-INF, -2.0, 0.0, 0.5, 3.0]), st.floats(-30, 30, width=32, allow_nan=False)
)
_row = st.lists(_logit, min_size=1, max_size=12).filter(lambda row: max(row) > -INF)
_share = st.floats(1e-3, 0.999)
quick = settings(max_examples=100, deadline=None)


def both(row):
    """The same logits for the kernels and for torch."""
    return np.array([row], dtype=np.float32), torch.tensor([row])


def probabilities(row):
    best = max(row)
    weights = [math.exp(value - best) for value in row]
    return [weight / math.fsum(weights) for weight in weights]


def entropy(row):
    return -math.fsum(p * math.log(p) for p in probabilities(row) if p > 0)


def kept(logits):
    return [value > -INF for value in logits[0].tolist()]


@quick
@given(_row, _share)
def test_typical_p_keeps_what_surprises_as_expected(row, p):
    """Catches the likeliest in place of the typical, the token left out that crosses p, and a
    forbidden token that comes back.
    """
    row = np.array(row, dtype=np.float32).tolist()
    chances, mean = probabilities(row), entropy(row)
    away = [abs(-math.log(c) - mean) if c > 0 else INF for c in chances]
    edges = sorted(away)
    assume(all(b - a > NEAR or b == a or a == INF for a, b in pairwise(edges)))
    mass, expected = 0.0, set()
    for token in sorted(range(len(row)), key=lambda i: away[i]):
        assume(abs(mass - p) > NEAR)
        if mass >= p and away[token] > max(away[i] for i in expected):
            break
        expected.add(token)
        mass += chances[token]
    for logits in both(row):
        found = kept(filters.typical_p(logits, p))
        assert found == [i in expected and v > -INF for i, v in enumerate(row)]


@quick
@given(_row, st.floats(0.01, 5))
def test_top_n_sigma_counts_deviations_of_what_may_come(row, n):
    """Catches a deviation of which forbidden tokens are a part, and one of a sample."""
    alive = [value for value in row if value > -INF]
    mean = math.fsum(alive) / len(alive)
    sigma = math.sqrt(math.fsum((v - mean) ** 2 for v in alive) / len(alive))
    least = max(alive) - n * sigma
    assume(all(abs(v - least) > NEAR or v == max(alive) for v in alive))
    for logits in both(row):
        found = kept(filters.top_n_sigma(logits, n))
        assert found == [v > -INF and (v >= least or v == max(alive)) for v in row]


@quick
@given(_row, st.floats(0, 0.5))
def test_xtc_leaves_the_least_likely_of_the_likely(row, threshold):
    """Catches all of the likely taken away, one alone that is taken away, and others touched."""
    row = np.array(row, dtype=np.float32).tolist()
    chances = probabilities(row)
    assume(all(abs(c - threshold) > NEAR for c in chances))
    least = min((v for v, c in zip(row, chances, strict=True) if c >= threshold), default=INF)
    for logits in both(row):
        found = filters.xtc(logits, threshold, [True])
        assert found[0].tolist() == [v if v <= least else -INF for v in logits[0].tolist()]
        assert filters.xtc(logits, threshold, [False]) is logits


def test_xtc_is_each_rows_own_chance():
    """Catches one row's chance taken for all."""
    for kind in (np.array, torch.tensor):
        logits = kind([[2.0, 1.9, -3.0]] * 2)
        found = filters.xtc(logits, 0.1, [False, True])
        assert [row > -INF for row in found[:, 0].tolist()] == [True, False]


@quick
@given(_row, st.floats(0, 2), st.floats(0.01, 3), st.floats(0.2, 3))
def test_the_dynamic_temperature_follows_the_entropy(row, low, more, exponent):
    """Catches an entropy in other units than its most, one of the whole vocabulary where tokens
    are forbidden, and a temperature that falls where it should rise.
    """
    count = sum(v > -INF for v in row)
    share = entropy(row) / math.log(count) if count > 1 else 0.0
    expected = low + more * min(max(share, 0.0), 1.0) ** exponent
    for logits in both(row):
        found = filters.dynamic(logits, low, low + more, exponent)
        assert found.shape == (1, 1)
        assert float(found[0, 0]) == pytest.approx(expected, abs=0.02 if share < 1e-5 else 1e-3)


def test_a_dynamic_temperature_divides_each_row_by_its_own():
    """Catches the first row's temperature used for all, and one that is never used."""
    wish = Sampling(temperature=1.0, dynatemp_range=0.5, dynatemp_exponent=1.0)
    logits = torch.tensor([[5.0, 0.0, -1.0, -2.0], [0.1, 0.0, 0.0, 0.0]])
    warm = filters.dynamic(logits, 0.5, 1.5, 1.0)
    assert float(warm[0, 0]) < 0.7 and float(warm[1, 0]) > 1.4
    found = distribution(logits, wish, [History()] * 2).softmax(-1)
    torch.testing.assert_close(found, (logits / warm).softmax(-1))


# DRY


def longest_repeats(text, allowed, breaks):
    """Per token how much of the text's end stands before it elsewhere: try every place."""
    end = len(text)
    limit = end
    for at in range(end - 1, -1, -1):
        sizes = [
            len(tail)
            for tail in breaks.get(text[at], ())
            if text[at + 1 : at + 1 + len(tail)] == list(tail)
        ]
        if sizes:
            limit = end - 1 - at - max(sizes)
            break
    if end <= allowed or limit < allowed:
        return {}
    found = {}
    for place in range(1, end):
        length = 0
        while length < min(place, limit) and text[place - 1 - length] == text[end - 1 - length]:
            length += 1
        token = text[place]
        if length >= allowed and () not in breaks.get(token, ()):
            found[token] = max(found.get(token, 0), length)
    return found


_text = st.lists(st.integers(0, 3), max_size=30)
_breaks = st.dictionaries(
    st.integers(0, 3),
    st.lists(st.lists(st.integers(0, 3), max_size=2).map(tuple), min_size=1, max_size=2),
    max_size=2,
)


@settings(max_examples=400, deadline=None)
@given(_text, st.integers(0, 4), _breaks)
def test_what_repeats_is_found(text, allowed, breaks):
    """Catches a repeated sequence that is missed or measured wrong, a breaker that is looked past,
    and one that is punished itself.
    """
    assert repeated(text, allowed, breaks) == longest_repeats(text, allowed, breaks)


def test_what_dry_takes_away():
    """Catches another row's text, tokens further back than it may look, and a sign."""
    wish = Sampling(dry_multiplier=2.0, dry_base=3.0, dry_allowed_length=2, dry_penalty_last_n=8)
    texts = [History([1, 2, 3, 4], [0, 1, 2, 3]), History([1, 2, 3, 4, 0, 0], [5, 1, 2, 3])]
    for logits in (np.zeros((2, 6), np.float32), torch.zeros(2, 6)):
        found = dry(logits, wish, texts).tolist()
        assert found[0] == [0, 0, 0, 0, -2.0 * 3.0, 0]
        assert found[1] == [0] * 6  # of the first sequence one token is too far back
        assert not logits.any()
    far = dry(torch.zeros(2, 6), Sampling(dry_multiplier=2.0, dry_base=3.0), texts)
    assert far[1].tolist() == [0, 0, 0, 0, -6.0, 0]


@pytest.mark.parametrize("base", [1.0, 1.75, 1e6, 1e300])
def test_dry_leaves_numbers(base):
    """Catches a power that no float32 holds."""
    wish = Sampling(dry_multiplier=1e30, dry_base=base, dry_penalty_last_n=1000)
    found = dry(torch.zeros(1, 3), wish, [History([1] * 900)])
    assert found[0, 1] < -1e29 and not found.isnan().any()


# The order


ALL = {
    "repeat_penalty": 1.3,
    "presence_penalty": 0.5,
    "logit_bias": ((3, 1.5),),
    "dry_multiplier": 0.8,
    "top_n_sigma": 1.5,
    "top_k": 20,
    "typical_p": 0.9,
    "top_p": 0.95,
    "min_p": 0.02,
    "xtc_probability": 0.5,
    "temperature": 0.7,
}
NAMES = {"penalties": ["repeat-penalty", "presence/frequency-penalty"], "typ_p": ["typical-p"]}
TEXT = [History([1, 2, 3, 1, 2], [1, 2])]


def names_of(wish):
    logits = torch.randn(1, 40, generator=torch.Generator().manual_seed(1))
    return [name for name, _ in stages(logits, wish, TEXT, [0.2])]


def words(order):
    return [each for name in order for each in NAMES.get(name, [name.replace("_", "-")])]


def test_the_default_order():
    """Catches an order that is neither ours nor, where the temperature is dynamic, llama.cpp's."""
    lead = ["logits", *NAMES["penalties"], "logit-bias"]
    assert names_of(Sampling(**ALL)) == [*lead, *words(DEFAULT_ORDER[1:])]
    found = names_of(Sampling(**ALL, dynatemp_range=0.2))
    assert found == [*lead, *words(SAMPLERS[1:-1]), "dynamic-temperature"]
    assert names_of(Sampling(**ALL, samplers=SAMPLERS)) == [*lead, *words(SAMPLERS[1:])]


@quick
@given(st.permutations(SAMPLERS).flatmap(lambda all_: st.integers(1, 9).map(lambda n: all_[:n])))
def test_samplers_reorder(order):
    """Catches a sampler that runs although it is not named, or elsewhere than it is named."""
    lead, rest = ["logits", "logit-bias"], words(order)
    if order[0] == "penalties":
        lead, rest = ["logits", *words(order[:1]), "logit-bias"], words(order[1:])
    assert names_of(Sampling(**ALL, samplers=tuple(order))) == lead + rest


def test_greedy_is_greedy_in_any_order():
    """Catches --temperature 0 that draws, since the temperature is not among the samplers."""
    wish = Sampling(temperature=0, top_k=3, samplers=("top_k",))
    assert names_of(wish) == ["logits", "top-k", "greedy"]
    last = Sampling(temperature=0, xtc_probability=1.0, dynatemp_range=1.0, samplers=SAMPLERS)
    assert names_of(last) == ["logits", "xtc", "greedy"]
    logits = torch.tensor([[2.0, 1.9, 0.0]])
    assert next_ids(logits, last, [History()], generators(1, 1)) == [1]
    plain = Sampling(temperature=0, xtc_probability=1.0)
    assert next_ids(logits, plain, [History()], generators(1, 1)) == [0]


def test_what_is_no_sampler_is_refused():
    """Catches a slip that turns a sampler off."""
    assert samplers("top-k;Typical_P, temp") == ("top_k", "typ_p", "temperature")
    assert samplers("edskypmxt") == SAMPLERS and samplers("temp") == ("temperature",)
    wrong = {"top_k;tpo_p": "'tpo_p' is none", "top_k;": "'' is none", "": "'' is none"}
    for text, reason in wrong.items():
        with pytest.raises(ValueError, match=reason):
            samplers(text)
    with pytest.raises(ValueError, match="names top_k twice"):
        samplers("top_k;min_p;topk")


# XTC's chance


def test_xtc_as_often_as_it_is_told():
    """Catches stages that tell another distribution than tokens are drawn from: XTC is a matter of
    chance, which the draws take and the table adds up.
    """
    wish = Sampling(temperature=1.0, xtc_probability=0.3, xtc_threshold=0.1, top_k=4)
    logits = torch.tensor([1.0, 0.8, 0.2, -1.0, -4.0])
    found = staged(logits, wish, History())
    assert [each.name for each in found] == ["logits", "top-k", "xtc"]
    assert cuts(found, range(5)) == [None, None, None, None, "top-k"]
    (chance,) = generators(5, 1)
    count = 4000
    drawn = Counter(next_ids(logits[None], wish, [History()], [chance])[0] for _ in range(count))
    for token, expected in enumerate(found[-1].probabilities.tolist()):
        # Five deviations of a count.
        most = 5 * math.sqrt(count * expected * (1 - expected))
        assert abs(drawn[token] - count * expected) <= most
    always = staged(logits, Sampling(xtc_probability=1.0), History())
    assert cuts(always, range(5)) == ["xtc", "xtc", None, None, None]
