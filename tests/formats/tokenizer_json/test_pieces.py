"""SentencePiece vocabularies: ids as the sentencepiece library itself gives them."""

from __future__ import annotations

import json
import math
import unicodedata
from functools import cache
from typing import Any

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from gptcli.formats.tokenizer_json import pieces, sentencepiece_model
from gptcli.formats.tokenizer_json.parts import UnfitError
from gptcli.formats.tokenizer_json.pieces import Piece, PieceKind, PieceRules
from tests.formats.tokenizer_json.spm import train

LETTERS = "abcdeé漢 .1▁\n\t🙂ÄŽ"
texts = st.one_of(
    st.text(st.sampled_from(LETTERS), max_size=40),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.text("ab ", max_size=60),
)
#: What is trained: everyday settings, Gemma's, and those of SentencePiece's own defaults.
MODELS: dict[str, dict[str, Any]] = {
    "llama": {},
    "gemma": {"add_dummy_prefix": False, "allow_whitespace_only_pieces": True},
    "no bytes": {"byte_fallback": False},
    "default": {"normalization_rule_name": "nmt_nfkc", "remove_extra_whitespaces": True},
    "unigram": {"model_type": "unigram", "vocab_size": 290},
    "unigram of T5": {
        "model_type": "unigram",
        "byte_fallback": False,
        "normalization_rule_name": "nmt_nfkc",
        "remove_extra_whitespaces": True,
    },
    "user defined": {"add_dummy_prefix": False, "user_defined_symbols": ["abc", "▁▁▁", "é."]},
}


@cache
def both(name: str) -> tuple[sentencepiece.SentencePieceProcessor, Tokenizer]:
    """The library's processor, and our tokenizer of the same model."""
    data = train(**MODELS[name])
    model = sentencepiece_model.parse(data)
    prefix = "all" if model.dummy_prefix else "none"
    rules = PieceRules(prefix, model.squeeze, model.character_map, model.unigram)
    found = json.dumps(pieces.tokenizer(model.pieces, rules))
    return sentencepiece.SentencePieceProcessor(model_proto=data), Tokenizer.from_str(found)


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=200, deadline=None)
@given(text=texts)
def test_ids_are_sentencepiece_s(name: str, text: str) -> None:
    """Catches merges out of order, bytes left out, a space too many or too few at the start."""
    theirs, ours = both(name)
    if name == "user defined" and "▁" in text:
        # A literal ▁ is a space to SentencePiece; there is none in our user-defined pieces.
        return
    if any(each.content in text for each in ours.get_added_tokens_decoder().values()):
        # A control token's name is that token to the library; `Tokenizer` keeps it text.
        return
    if "normalization_rule_name" in MODELS[name] and any(map(_joins, text)):
        # The library maps a character with all that is joined to it as the character alone.
        return
    expected = theirs.encode(text)
    # The library puts the space before an empty text as well.
    ids = ours.encode(text).ids if text else []
    if name.startswith("unigram") and ids != expected and text:
        # Of cuts that are equally likely the two may take another: one adds up in 32 bits.
        assert theirs.decode(ids) == theirs.decode(expected)
        assert _score(theirs, ids) == pytest.approx(_score(theirs, expected), abs=1e-4)
    else:
        assert ids == (expected if text else [])


def _joins(character: str) -> bool:
    return character == "\u200d" or unicodedata.category(character).startswith("M")


def _score(theirs: sentencepiece.SentencePieceProcessor, ids: list[int]) -> float:
    return math.fsum(map(theirs.get_score, ids))


@pytest.mark.parametrize("name", ["llama", "gemma", "unigram"])
@settings(max_examples=150, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁"), max_size=20))
def test_texts_come_back(name: str, text: str) -> None:
    """Catches a decoder that keeps the space put before a text, or strips one of its own."""
    theirs, ours = both(name)
    if text:
        ids = ours.encode(text).ids
        assert ours.decode(ids, skip_special_tokens=False) == text == theirs.decode(ids)


def test_pieces_are_learnt() -> None:
    """Catches a training that leaves nothing to merge, with which the rest is empty."""
    theirs, _ = both("llama")
    assert max(len(piece) for piece in theirs.encode("abcab abc cab", out_type=str)) > 2


def _bytes() -> list[Piece]:
    return [Piece(f"<0x{byte:02X}>", 0.0, PieceKind.BYTE) for byte in range(256)]


def _built(*found: Piece) -> Tokenizer:
    return Tokenizer.from_str(json.dumps(pieces.tokenizer(found, PieceRules("none"))))


UNKNOWN = Piece("<unk>", 0.0, PieceKind.UNKNOWN)


def test_a_letter_known_by_its_byte_only_is_merged() -> None:
    """Catches Gemma's tabs: pieces are made of a tab that is none by itself."""
    built = _built(UNKNOWN, *_bytes(), Piece("\t\t", -1.0, PieceKind.NORMAL))
    assert built.encode("\t\t\t").ids == [257, 1 + 9]


def test_a_piece_of_unknown_letters_is_found_whole() -> None:
    """Catches a user-defined piece, listed as any other, that merges can never make."""
    built = _built(
        UNKNOWN, *_bytes(), Piece("é1", -1.0, PieceKind.NORMAL), Piece("1", -2.0, PieceKind.NORMAL)
    )
    assert built.encode("1é11").ids == [258, 257, 258]
    assert built.encode("é").ids == [1 + 0xC3, 1 + 0xA9]


def test_long_runs_of_spaces() -> None:
    """Catches the end of a text looked for from each space of a run: minutes, for a stranger."""
    _, ours = both("default")
    assert ours.encode(f"a{' ' * 1_000_000}b ").ids == ours.encode("a b").ids


def test_likely_pieces_need_a_name_for_the_rest() -> None:
    """Catches a text refused for a letter of it, long after the model was opened."""
    letter = Piece("a", -1.0, PieceKind.NORMAL)
    with pytest.raises(UnfitError, match="unknown"):
        pieces.tokenizer([letter], PieceRules("none", unigram=True))


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_scores_that_are_no_numbers_are_refused(score: float) -> None:
    """Catches an order of merges that depends on the order of a comparison with NaN."""
    with pytest.raises(UnfitError, match="score"):
        _built(UNKNOWN, Piece("a", score, PieceKind.NORMAL))


def test_only_text_is_merged() -> None:
    """Catches `<s>` made of the text <, s and >."""
    letters = [Piece(letter, -1.0, PieceKind.NORMAL) for letter in ("<", "s", ">", "s>")]
    built = _built(UNKNOWN, Piece("<s>", 0.0, PieceKind.CONTROL), *letters)
    built.encode_special_tokens = True
    assert built.encode("<s>").ids == [2, 5]


def test_equal_scores_are_ordered_by_id() -> None:
    """Catches converters' vocabularies without scores merged in the order of the alphabet."""
    letters = [Piece(letter, -9.0, PieceKind.NORMAL) for letter in "abc"]
    built = _built(UNKNOWN, *letters, *(Piece(two, -9.0, PieceKind.NORMAL) for two in ("bc", "ab")))
    assert built.encode("abc").ids == [1, 4]
