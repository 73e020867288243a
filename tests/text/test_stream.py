"""Bytes in any pieces → the same text, whole characters only."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptcli.text.stream import TextStream

# Beginnings and ends of characters in any disorder: what arbitrary bytes hardly ever are.
_pieces = st.sampled_from([b"\xf0", b"\x9f", b"\x98", b"\x80", b"\xe2\x82", b"\xac", b"\xc3", b"a"])
_broken = st.one_of(st.binary(max_size=40), st.lists(_pieces, max_size=12).map(b"".join))
_cuts = st.lists(st.integers(0, 120), max_size=8)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    borders = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(borders)]


@given(st.text(max_size=30), _cuts)
def test_any_split_of_any_text_gives_the_text(text, cuts):
    """Catches a character that is lost, doubled or torn where tokens meet."""
    stream = TextStream()
    data = text.encode()
    seen = b""
    shown = ""
    for piece in pieces(data, cuts):
        seen += piece
        shown += stream.feed(piece)
        # All characters that are whole by now, and none that is not.
        assert shown == seen.decode(errors="ignore")
    assert shown + stream.finish() == text


@given(_broken, _cuts)
def test_broken_bytes_are_shown_as_python_shows_them(data, cuts):
    """Catches bytes dropped in silence, and replacements that depend on where tokens meet."""
    stream = TextStream()
    shown = "".join(map(stream.feed, pieces(data, cuts)))
    assert shown + stream.finish() == data.decode(errors="replace")


@pytest.mark.parametrize("data", [b"\xf0", b"\xf0\x9f", b"\xf0\x9f\x98", b"\xc3"])
def test_an_end_within_a_character_is_one_replacement(data):
    """Catches an end that is swallowed, or that the next text would begin with."""
    stream = TextStream()
    assert stream.feed(b"a" + data) == "a"
    assert stream.finish() == "\ufffd"
    assert stream.finish() == ""
