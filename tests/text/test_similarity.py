"""Which texts are like another."""

from __future__ import annotations

import itertools
import math
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from gptcli.text.similarity import Similarity

TEXTS = st.lists(st.text("abc ", min_size=1, max_size=12), min_size=1, max_size=8)


def test_picks_the_likest_last():
    """Catches an order that is turned round, and case that matters."""
    found = Similarity(["a red house", "the blue sea", "A RED HOUSE ON THE HILL", "nothing"])
    assert found.pick("the red house", 2)[-1] == 0
    assert set(found.pick("the red house", 2)) == {0, 2}
    assert found.pick("THE BLUE SEA", 1) == [1]
    assert found.pick("x", 0) == []


def test_equals_go_in_the_order_given():
    """Catches an order that changes from run to run."""
    assert Similarity(["same", "same", "same"]).order("same") == [0, 1, 2]
    assert Similarity(["one", "two"]).order("") == [0, 1]


@given(TEXTS, st.text("abc ", max_size=12))
def test_equals_the_slow_cosine(texts, query):
    """Catches a weight or a norm that is left out."""

    def pieces(text: str) -> Counter[str]:
        plain = f" {text.casefold()} "
        return Counter(plain[i : i + 3] for i in range(max(len(plain) - 2, 1)))

    counts = [pieces(text) for text in texts]
    known = sorted({piece for count in counts for piece in count})
    rarity = {p: math.log(1 + len(texts) / sum(p in count for count in counts)) for p in known}

    def vector(count: Counter[str]) -> list[float]:
        return [count[p] * rarity[p] for p in known]

    def cosine(one: list[float], other: list[float]) -> float:
        size = math.hypot(*one) * math.hypot(*other)
        return sum(a * b for a, b in zip(one, other, strict=True)) / size if size else 0.0

    likeness = [cosine(vector(count), vector(pieces(query))) for count in counts]
    found = Similarity(texts).order(query)
    assert sorted(found) == list(range(len(texts)))
    for one, other in itertools.pairwise(found):
        assert likeness[one] >= likeness[other] - 1e-9
