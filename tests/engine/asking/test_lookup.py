"""Look-up of what came after the same tokens before, against a search through everything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gptcli.engine.asking.lookup import LONGEST, PLACES, Lookup


def alike(ids: list[int], at: int) -> int:
    """How many tokens before a place are those at the end."""
    return next((n for n in range(at) if ids[at - 1 - n] != ids[len(ids) - 1 - n]), at)


@given(st.lists(st.integers(0, 2), max_size=PLACES))
def test_the_longest_is_found(ids):
    """Catches a place that is overlooked, one that is too short, and the text's own end."""
    lookup, found = Lookup(ids), None
    found = lookup.find()
    longest = max((alike(ids, at) for at in range(1, len(ids))), default=0)
    if longest < 2:
        assert found is None
        return
    assert found is not None
    assert found.alike == alike(ids, found.at) == longest <= LONGEST
    later = [at for at in range(found.at + 1, len(ids)) if alike(ids, at) == longest]
    assert not later


def test_a_token_in_anothers_place_is_followed_by_the_same():
    """Catches a text that is found no more once a single token was changed."""
    text = [1, 2, 3, 4, 5, 6, 7, 8]
    lookup = Lookup([*text, 0, 1, 2, 3])
    assert lookup.after(lookup.find(), 3) == [4, 5, 6]
    lookup.append(9)  # for the 4
    found = lookup.find()
    assert found.alike == 0
    assert lookup.after(found, 3) == [5, 6, 7]


def test_what_repeats_itself_goes_on():
    """Catches a draft that ends where the text does."""
    lookup = Lookup([7, 1, 2, 3, 1, 2, 3, 1])
    assert lookup.after(lookup.find(), 7) == [2, 3, 1, 2, 3, 1, 2]
