"""Prompts that end at the wrong place: in a stray space, or within a token."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer as Rust
from tokenizers import decoders, models

from gptcli.text.prompt_end import ends_in_stray_space, splits_token
from gptcli.text.tokenizer import Tokenizer
from tests.text.tokenizers_for_tests import byte_level, saved, sentence_piece


@pytest.fixture(scope="module", params=["bytes", "pieces", "pieces with a space before"])
def tokenizer(request, tmp_path_factory) -> Tokenizer:
    rust = {
        "bytes": byte_level,
        "pieces": sentence_piece,
        "pieces with a space before": lambda: sentence_piece(prepend="always"),
    }[request.param]()
    return saved(rust, tmp_path_factory.mktemp("tokenizer"))


@pytest.mark.parametrize(
    ("prompt", "stray"),
    [
        ("the ", True),
        ("the  ", True),
        ("the", False),
        (" the", False),
        ("the\n", False),
        ("the \n", False),
        ("the\t", False),
        ("the\u00a0", False),
        (" ", False),
        ("", False),
        ("\n ", False),
    ],
)
def test_stray_space(tokenizer, prompt, stray):
    """Catches a hint about line ends or a prompt of nothing, and none where it would help."""
    assert ends_in_stray_space(tokenizer, prompt) is stray


def test_no_hint_where_no_token_brings_its_space(tmp_path):
    """Catches a hint that is wrong for a model of letters."""
    vocab = {letter: i for i, letter in enumerate("thecaxyz ")}
    rust = Rust(models.BPE(vocab, []))
    rust.decoder = decoders.ByteFallback()
    assert ends_in_stray_space(saved(rust, tmp_path), "the ") is False


@pytest.mark.parametrize(
    ("prompt", "completion", "splits"),
    [
        # "France", " cat" and " the" are tokens.
        ("in Fran", "ce", True),
        ("of Fran", "ce and the cat", True),
        ("the c", "at", True),
        ("the cat", " sat", False),
        ("the cat", "x", False),
        ("é the cat", "x", False),
        ("the ", "cat", False),
        ("the cat", ".", False),
        ("the cat.", "the", False),
        ("the cat", "", False),
        ("", "the cat", False),
        # "x" and "y" are known as letters at most: no token of more than one holds either.
        ("the catx", "y", False),
        ("x", "y", False),
        ("x" * 100, "y" * 100, False),
        ("x" * 100 + " Fran", "ce" + "y" * 100, True),
        ("éx", "yé", False),
    ],
)
def test_splits_token(tokenizer, prompt, completion, splits):
    """Catches a border counted in characters, and a space of the tokenizer's own counted in."""
    assert splits_token(tokenizer, prompt, completion) is splits


def test_the_border_is_where_tokens_meet(tokenizer):
    """Catches an off-by-one in either direction: any two tokens meet at their border only."""
    text = "é the catx sats onx Francexy mat"
    sizes = [len(tokenizer.bytes_of(token)) for token in tokenizer.encode(text)]
    sizes[0] -= sum(sizes) - len(text.encode())
    borders = {sum(sizes[:n]) for n in range(len(sizes) + 1)}
    words = [at for at in range(1, len(text)) if text[at - 1 : at + 1].isalnum()]
    met = [len(text[:at].encode()) in borders for at in words]
    assert True in met and False in met
    assert [not splits_token(tokenizer, text[:at], text[at:]) for at in words] == met
