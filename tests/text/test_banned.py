"""Banned texts in tokens, against a look at the whole text."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gptcli.text.banned import Banned, banned

WORDS = (b"a", b"b", b"ab", b"bba", b"", b"\xe2", b"\x82\xac", b"a\xe2\x82\xacb")
_texts = st.lists(st.text("ab€", min_size=1, max_size=5), min_size=1, max_size=3)
_ids = st.lists(st.integers(0, len(WORDS) - 1), max_size=10)


def place_of(ids, at):
    """The token that holds the byte."""
    for place, token in enumerate(ids):
        at -= len(WORDS[token])
        if at < 0:
            return place
    raise AssertionError


@settings(max_examples=400, deadline=None)
@given(_texts, _ids, st.integers(0, 4))
def test_where_a_banned_text_begins_and_what_may_yet_be_one(texts, ids, skip):
    """Catches a text that is missed across tokens or within one, one of before what is shown, and
    a place that is one off; too little that is held back, and more than can be the beginning.
    """
    found = Banned(texts, WORDS.__getitem__, skip=skip)
    data = b"".join(WORDS[token] for token in ids)
    before = len(data) - len(WORDS[ids[-1]]) if ids else 0
    whole = [
        at
        for text in map(str.encode, texts)
        for at in range(skip, len(data))
        if data.startswith(text, at) and at + len(text) > before
    ]
    assert found.begins(ids) == (place_of(ids, min(whole)) if whole else None)
    begun = [
        at
        for text in map(str.encode, texts)
        for at in range(skip, len(data))
        if text != data[at:] and text.startswith(data[at:])
    ]
    assert found.open(ids) == (len(ids) - place_of(ids, min(begun)) if begun else 0)


def test_nothing_is_banned():
    """Catches work at every token where nobody asked for it."""
    assert banned((), WORDS.__getitem__) is None
