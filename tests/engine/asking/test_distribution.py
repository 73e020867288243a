"""What the sampler makes of the logits, against a slow computation that shares no code with it."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gptcli.engine.arrays import ranked
from gptcli.engine.asking.distribution import at_temperature, cuts, staged
from gptcli.engine.asking.drawing import draw
from gptcli.engine.asking.history import History
from gptcli.engine.asking.raw_logprobs import among_all, entropy_bits
from gptcli.engine.asking.sampling import distribution
from gptcli.types.sampling import Sampling

INF = math.inf
#: How near a border two right answers may fall on either side of it.
NEAR = 1e-5


def softmax(logits: list[float]) -> list[float]:
    best = max(logits)
    weights = [math.exp(value - best) for value in logits]
    return [weight / math.fsum(weights) for weight in weights]


def obvious(
    logits: list[float], wish: Sampling, prompt: list[int], generated: list[int]
) -> list[tuple[str, list[float]]]:
    """Every stage by its definition, in float64, token by token."""
    now = list(logits)
    found = [("logits", list(now))]
    if wish.repeat_penalty != 1:
        for token in set(prompt) | set(generated):
            old = now[token]
            now[token] = old / wish.repeat_penalty if old > 0 else old * wish.repeat_penalty
        found.append(("repeat-penalty", list(now)))
    if wish.presence_penalty or wish.frequency_penalty:
        for token in range(len(now)):
            count = generated.count(token)
            now[token] -= (count > 0) * wish.presence_penalty + count * wish.frequency_penalty
        found.append(("presence/frequency-penalty", list(now)))
    if wish.logit_bias:
        for token, amount in wish.logit_bias:
            now[token] += amount
        found.append(("logit-bias", list(now)))
    order = sorted(range(len(now)), key=lambda i: (-now[i], i))
    if wish.temperature == 0:
        assume(len(now) < 2 or now[order[0]] - now[order[1]] > NEAR)
        found.append(("greedy", [v if i == order[0] else -INF for i, v in enumerate(now)]))
        return found
    if wish.temperature != 1:
        now = [value / wish.temperature for value in now]
        found.append(("temperature", list(now)))
    if wish.top_k:
        edge = order[wish.top_k - 1 : wish.top_k + 1]
        assume(len(edge) < 2 or now[edge[0]] - now[edge[1]] > NEAR)
        kept = set(order[: wish.top_k])
        now = [value if i in kept else -INF for i, value in enumerate(now)]
        found.append(("top-k", list(now)))
    if wish.top_p < 1:
        chances, mass, kept = softmax(now), 0.0, set()
        for token in order:
            assume(abs(mass - wish.top_p) > NEAR)
            if mass >= wish.top_p:
                break
            kept.add(token)
            mass += chances[token]
        now = [value if i in kept else -INF for i, value in enumerate(now)]
        found.append(("top-p", list(now)))
    if wish.min_p:
        chances = softmax(now)
        least = wish.min_p * max(chances)
        assume(all(abs(chance - least) > NEAR * max(chances) for chance in chances))
        now = [value if chances[i] >= least else -INF for i, value in enumerate(now)]
        found.append(("min-p", list(now)))
    return found


# Each setting off or on, so that every subset of the stages comes up.
_wishes = st.builds(
    Sampling,
    temperature=st.sampled_from([0.0, 1.0]) | st.floats(0.2, 3),
    top_k=st.just(0) | st.integers(1, 40),
    top_p=st.just(1.0) | st.floats(0.01, 0.999),
    min_p=st.just(0.0) | st.floats(0.001, 0.999),
    repeat_penalty=st.just(1.0) | st.floats(0.5, 2),
    presence_penalty=st.just(0.0) | st.floats(-2, 2),
    frequency_penalty=st.just(0.0) | st.floats(-2, 2),
    logit_bias=st.just(())
    | st.lists(
        st.tuples(st.integers(0, 29), st.floats(-5, 5) | st.just(-INF)), min_size=1, max_size=4
    ).map(tuple),
)
_past = st.lists(st.integers(0, 29), max_size=12)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32 - 1), _wishes, _past, _past)
def test_every_subset_of_stages_does_what_its_definition_says(seed, wish, prompt, generated):
    """Catches a stage that is skipped, out of order, applied twice, or told with the wrong
    probabilities; and a filter that is blamed for what another one cut.
    """
    logits = 3 * torch.randn(30, generator=torch.Generator().manual_seed(seed))
    found = staged(logits, wish, History(prompt, generated))
    expected = obvious(logits.tolist(), wish, prompt, generated)
    assert [stage.name for stage in found] == [name for name, _ in expected]
    for stage, (_, values) in zip(found, expected, strict=True):
        assert [v > -INF for v in stage.logits.tolist()] == [v > -INF for v in values]
        assert stage.probabilities.tolist() == pytest.approx(softmax(values), abs=1e-5)
    blamed = cuts(found, range(30))
    for token, name in enumerate(blamed):
        gone = [stage for stage, values in expected if values[token] == -INF]
        assert name == (gone[0] if gone else None)
    assert torch.equal(
        found[-1].logits, distribution(logits[None], wish, [History(prompt, generated)])[0]
    )


def test_a_token_that_never_could_come_was_cut_by_nothing():
    """Catches a stage that is blamed for what the model itself forbids."""
    found = staged(torch.tensor([1.0, -INF, 0.0]), Sampling(top_k=1), History())
    assert cuts(found, [0, 1, 2]) == [None, None, "top-k"]


#: The 1 - 1e-6 quantile of chi-square, by its degrees of freedom.
QUANTILES = {1: 23.93, 4: 34.26, 7: 40.52, 11: 47.91}


@pytest.mark.parametrize(
    ("wish", "left"),
    [
        (Sampling(), 12),
        (Sampling(temperature=0.7, top_k=5, repeat_penalty=1.3), 5),
        (Sampling(temperature=1.8, top_k=8, presence_penalty=0.5, logit_bias=((3, 1.0),)), 8),
        (Sampling(temperature=0.9, logit_bias=((0, -INF),), top_k=2), 2),
    ],
)
def test_the_final_probabilities_are_those_that_are_drawn_from(wish, left):
    """Catches telling one distribution and drawing from another: 20,000 seeded draws."""
    logits = torch.tensor([1.0, 0.2, 0.9, -0.4, 0.5, 0.0, -0.1, 0.3, 0.7, -0.6, 0.1, 0.4])
    last = staged(logits, wish, History([1, 2], [4, 4]))[-1]
    count = 20_000
    generator = Random(1234)
    ids = draw(last.logits.expand(count, -1), [generator] * count)
    seen = torch.bincount(torch.tensor(ids), minlength=12).double()
    expected = last.probabilities.double() * count
    may = expected > 0
    assert int(may.sum()) == left
    assert not seen[~may].any()
    chi_square = float(((seen - expected)[may] ** 2 / expected[may]).sum())
    assert chi_square < QUANTILES[left - 1]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-40, 40, width=32) | st.just(-INF), min_size=1, max_size=40))
def test_entropy_is_the_sum_of_its_definition(row):
    """Catches nats for bits, 0·log 0 that becomes NaN, and a negative zero."""
    assume(max(row) > -INF)
    expected = -math.fsum(p * math.log2(p) for p in softmax(row) if p)
    entropy = entropy_bits(torch.tensor(row))
    assert entropy == pytest.approx(expected, abs=1e-9)
    assert math.copysign(1, entropy) == 1


def test_entropy_of_equals():
    """Catches a base other than 2: 1024 equal tokens are ten bits."""
    assert entropy_bits(torch.zeros(1024)) == pytest.approx(10)


def test_equals_are_ranked_by_their_ids():
    """Catches an order among ties that differs from run to run."""
    assert ranked(torch.tensor([1.0, 3.0, -INF, 3.0, 1.0])).tolist() == [1, 3, 0, 4, 2]
    assert ranked(torch.zeros(500)).tolist() == list(range(500))


def test_temperatures_start_from_the_raw_logits():
    """Catches a temperature of 0 that divides by it."""
    row = torch.tensor([1.0, 2.0, 2.0, 0.0])
    assert at_temperature(row, 0).softmax(-1).tolist() == [0, 1, 0, 0]
    at_two = at_temperature(row, 2.0).softmax(-1).tolist()
    assert at_two == pytest.approx(softmax([0.5, 1.0, 1.0, 0.0]))


@given(st.lists(st.floats(-20, 20, width=32), min_size=2, max_size=30), st.data())
def test_where_a_token_stands_is_counted_in_the_raw_distribution(row, data):
    """Catches a rank from 0, one that ties make worse, and the entropy of another row."""
    id_ = data.draw(st.integers(0, len(row) - 1))
    rows = np.array([row, [0.0] * len(row)], dtype=np.float32)
    first, second = among_all(rows, [id_, id_])
    assert first.rank == 1 + sum(value > np.float32(row[id_]) for value in rows[0])
    assert first.entropy == entropy_bits(rows[0])
    assert (second.rank, second.entropy) == (1, pytest.approx(math.log2(len(row))))
