"""Stop strings: the text before the first, whatever pieces it comes in."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gptcli.text.stop import StopMatcher

_text = st.text("ab\n", max_size=14)
_stops = st.lists(st.text("ab\n", min_size=1, max_size=5), min_size=1, max_size=4)
_cuts = st.lists(st.integers(0, 14), max_size=6)


def pieces(text: str, cuts: list[int]) -> list[str]:
    borders = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    return [text[start:end] for start, end in pairwise(borders)]


def cut_at_first_stop(text: str, stops: list[str]) -> str | None:
    """The slow definition: letter by letter, until the text ends in a stop. None if never."""
    for end in range(len(text) + 1):
        sizes = [len(stop) for stop in stops if text[:end].endswith(stop)]
        if sizes:
            return text[: end - max(sizes)]
    return None


@settings(max_examples=300)
@given(_text, _stops, _cuts)
def test_text_ends_before_the_first_stop_however_it_is_cut(text, stops, cuts):
    """Catches a stop that is missed across pieces, shown in part, or that depends on the pieces."""
    expected = cut_at_first_stop(text, stops)
    matcher = StopMatcher(stops)
    fed = shown = ""
    for piece in pieces(text, cuts):
        fed += piece
        shown += matcher.feed(piece)
        # Never more than there will be at the end: text once shown cannot be taken back.
        assert (text if expected is None else expected).startswith(shown)
        if not matcher.stopped:
            held = fed.removeprefix(shown)
            assert fed == shown + held
            # Held back is only what may become a stop: no text waits longer than it must.
            assert held == "" or any(len(held) < len(s) and s.startswith(held) for s in stops)
    assert matcher.stopped == (expected is not None)
    assert shown + matcher.finish() == (text if expected is None else expected)


@pytest.mark.parametrize(
    ("stops", "text", "expected"),
    [
        (["ab", "bc", "aab"], "xaabc", "x"),
        (["bc", "ab"], "xabc", "x"),
        (["abcd", "c"], "xabcd", "xab"),
        (["abcd", "bc"], "xabcd", "xa"),
        (["aab"], "aaab", "a"),
        (["abab"], "abaabab", "aba"),
        (["a longer stop than text"], "a longer", "a longer"),
        (["x", "x"], "yxz", "y"),
        (["\n\n"], "one\n two\n\n\n", "one\n two"),
        (["é"], "café au", "caf"),
        ([], "all", "all"),
        (["", "b"], "abc", "a"),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_overlapping_stops(stops, text, expected, size):
    """Catches a search that gives up a stop which begins within a failed one."""
    matcher = StopMatcher(stops)
    parts = [matcher.feed(text[at : at + size]) for at in range(0, len(text), size)]
    assert "".join(parts) + matcher.finish() == expected


def test_nothing_follows_a_stop():
    """Catches text of the same token, or of the next, that comes after the stop."""
    matcher = StopMatcher(["."])
    assert matcher.feed("a.b") == "a"
    assert matcher.stopped
    assert matcher.feed("c") == ""
    assert matcher.finish() == ""


def test_what_was_held_back_is_given_once():
    """Catches the end of a text lost, or shown twice, as it looked like a stop's beginning."""
    matcher = StopMatcher(["\nUser:"])
    assert matcher.feed("Hi\nUse") == "Hi"
    assert matcher.finish() == "\nUse"
    assert matcher.finish() == ""
