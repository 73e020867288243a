"""A text as tokens, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptcli.errors import InputError
from gptcli.text.cut import cut, joined
from tests.text import tokenizers_for_tests as made


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return made.saved(made.byte_level(), tmp_path_factory.mktemp("words"))


@given(st.text())
def test_the_tokens_of_a_text_are_its_bytes(tokenizer, text):
    """Catches a token that is lost, or put before or after the text."""
    found = cut(tokenizer, "m", text)
    data = b"".join(found.known[token].bytes for token in found.ids)
    assert data == text.encode()
    assert (found.characters, found.bytes) == (len(text), len(data))
    assert joined(tokenizer, "m", found.ids, "ids") == found


def test_an_id_is_looked_up_once(tokenizer, monkeypatch):
    """Catches work for every token of a long text where there are but a few kinds."""
    calls = []
    real = tokenizer.bytes_of
    monkeypatch.setattr(tokenizer, "bytes_of", lambda token: calls.append(token) or real(token))
    cut(tokenizer, "m", "the cat " * 1000)
    assert len(calls) == len(set(calls)) < 10


@pytest.mark.parametrize("bad", [-1, 288, 10**6, 2**32, 10**12])
def test_an_id_without_a_token(tokenizer, bad):
    """Catches an OverflowError, and an id that becomes no text in silence."""
    with pytest.raises(InputError, match=f"there is no token {bad}, but 288 others"):
        joined(tokenizer, "m", [5, bad], "ids")


def test_a_gap_in_the_vocabulary_is_no_token(tmp_path):
    """Catches ids below the size of a vocabulary that are taken for tokens."""
    from tokenizers import Tokenizer, models

    tokenizer = made.saved(Tokenizer(models.BPE({"a": 0, "b": 5}, [])), tmp_path)
    assert [i for i in range(10) if tokenizer.has(i)] == [0, 5]
