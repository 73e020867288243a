"""Where a prefix ends and its continuation begins, in tokens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptcli.text.continuation import split_continuation
from tests.text import tokenizers_for_tests as made

TEXTS = st.text(st.sampled_from("the cat sonmFrcé\n ")) | st.text(max_size=12)


@pytest.fixture(scope="module", params=["byte level", "byte level, unsplit", "sentence piece"])
def tokenizer(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp("tokenizer")
    if request.param == "sentence piece":
        return made.saved(made.sentence_piece(prepend="first"), directory)
    return made.saved(made.byte_level(split="unsplit" not in request.param), directory)


def texts(tokenizer, ids):
    return [tokenizer.bytes_of(token).decode(errors="replace") for token in ids]


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return made.saved(made.byte_level(), tmp_path_factory.mktemp("words"))


def test_a_border_between_tokens_is_kept(words):
    """Catches a token of the prefix that is scored, or one of the text that is not."""
    prefix, text = split_continuation(words, "the cat", " sat on")
    assert texts(words, prefix) == ["the", " cat"]
    assert texts(words, text) == [" sat", " on"]


def test_spaces_at_the_end_of_the_prefix_move_into_the_text(words):
    """Catches a text that is scored after a lone space, which models hardly ever see."""
    assert split_continuation(words, "the cat ", "sat") == split_continuation(
        words, "the cat", " sat"
    )
    prefix, text = split_continuation(words, "the \n", "zzz")
    assert texts(words, prefix) == ["the"]
    assert "".join(texts(words, text)) == " \nzzz"


def test_a_token_across_the_border_belongs_to_the_text(words):
    """Catches lm-evaluation-harness's own gap: its text would have no token at all here."""
    prefix, text = split_continuation(words, "the Fran", "ce")
    assert texts(words, words.encode("the Fran")) != texts(words, prefix)
    assert "".join(texts(words, text)).endswith("France")
    assert text


def test_a_prefix_of_white_space_or_of_nothing_is_no_prefix(words):
    """Catches an empty prefix that takes a token of the text."""
    assert split_continuation(words, "", "the cat") == ([], words.encode("the cat"))
    assert split_continuation(words, "  ", "the cat") == ([], words.encode("  the cat"))


def test_an_empty_text_has_no_tokens(words):
    """Catches a prefix that is scored because there is nothing else."""
    assert split_continuation(words, "the cat", "") == (words.encode("the cat"), [])


def test_control_tokens_only_where_they_are_wanted(words):
    """Catches text that becomes a control token, on either side of the border."""
    control = words.id_of("<|end|>")
    assert split_continuation(words, "<|end|>", "<|end|>", special=True) == ([control], [control])
    prefix, text = split_continuation(words, "<|end|>", "<|end|>")
    assert control not in prefix + text


@given(prefix=TEXTS, text=TEXTS)
def test_nothing_is_lost_or_doubled(tokenizer, prefix, text):
    """Catches ids other than those of the whole, and a prefix that reaches into the text."""
    before, after = split_continuation(tokenizer, prefix, text)
    assert before + after == tokenizer.encode(prefix + text)
    assert before == tokenizer.encode(prefix.rstrip())[: len(before)]
