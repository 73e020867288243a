"""Divergences, and distributions beside each other."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gptcli.evaluation.comparison import compare, js_bits, kl_bits
from gptcli.types.next_tokens import Candidate, Distribution, Spread, Whole
from gptcli.types.sampling import Sampling
from gptcli.types.token import Source, Token

_weights = st.lists(st.floats(0.001, 1), min_size=6, max_size=6)


def normal(weights: list[float]) -> list[float]:
    return [weight / sum(weights) for weight in weights]


def logs(chances: list[float]) -> tuple[float, ...]:
    return tuple(math.log(chance) if chance else -math.inf for chance in chances)


def distribution(
    chances: list[float], tokens: list[bytes], prompt: str = "p", rows: int = 2
) -> Distribution:
    best = sorted(range(len(chances)), key=lambda i: -chances[i])[:rows]
    candidates = tuple(
        Candidate(n + 1, Token(i, tokens[i]), 0.0, 0.0, chances[i], chances[i])
        for n, i in enumerate(best)
    )
    return Distribution(
        source=Source("m", "cpu", "float32"),
        prompt=prompt,
        prompt_tokens=1,
        vocabulary=len(chances),
        sampling=Sampling(),
        stages=("logits",),
        candidates=candidates,
        raw=Spread(1.0, 2),
        drawn=Spread(1.0, 2),
        whole=Whole(logs(chances), tuple(tokens)),
    )


@settings(max_examples=80, deadline=None)
@given(_weights, _weights)
def test_divergences_are_their_definitions_in_bits(a, b):
    """Catches nats, the two directions of KL exchanged, and a JS against the wrong middle."""
    p, q = normal(a), normal(b)
    kl = sum(x * math.log2(x / y) for x, y in zip(p, q, strict=True))
    middle = [(x + y) / 2 for x, y in zip(p, q, strict=True)]
    js = sum(
        (x * math.log2(x / m) + y * math.log2(y / m)) / 2
        for x, y, m in zip(p, q, middle, strict=True)
    )
    assert kl_bits(logs(p), logs(q)) == pytest.approx(max(kl, 0), abs=1e-9)
    assert js_bits(logs(p), logs(q)) == pytest.approx(js, abs=1e-9)


def test_divergences_at_their_ends():
    """Catches NaN where a token is impossible: KL is then infinite, and JS at most one bit."""
    p, q = logs([1.0, 0.0, 0.0]), logs([0.0, 1.0, 0.0])
    assert kl_bits(p, p) == js_bits(p, p) == 0
    assert kl_bits(p, q) == math.inf
    assert js_bits(p, q) == pytest.approx(1)


def test_tokens_are_those_most_probable_in_all_of_them():
    """Catches rows of the first distribution only, and a probability of another token."""
    tokens = [b"a", b"b", b"c", b"d"]
    found = compare(
        [distribution([0.7, 0.1, 0.15, 0.05], tokens), distribution([0.1, 0.1, 0.1, 0.7], tokens)],
        rows=3,
    )
    assert [each.token.bytes for each in found.tokens] == [b"a", b"d", b"c"]
    assert found.tokens[1].probabilities == pytest.approx((0.05, 0.7))
    assert found.divergences[0].forward > 0


def test_other_vocabularies_are_matched_by_bytes_and_not_compared():
    """Catches probabilities of whatever token happens to have the same id."""
    found = compare(
        [
            distribution([0.6, 0.3, 0.1], [b"a", b"b", b"c"]),
            distribution([0.2, 0.5, 0.3], [b"x", b"a", b"c"]),
        ],
        rows=9,
    )
    assert found.divergences == (None,)
    shown = {each.token.bytes: each.probabilities for each in found.tokens}
    assert shown[b"a"] == pytest.approx((0.6, 0.5))
    assert shown[b"b"] == (pytest.approx(0.3), None)
    # Not among the second one's rows, and still known to the first.
    assert shown[b"c"] == pytest.approx((0.1, 0.3))
