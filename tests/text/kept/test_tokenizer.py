"""Tokenizers that are kept cut as the library does: ids, places, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from tokenizers import Tokenizer as Rust
from tokenizers import models, normalizers, pre_tokenizers

from gptcli.text.kept import making, offsets
from gptcli.text.kept.tokenizer import KeptTokenizer
from gptcli.text.library_tokenizer import LibraryTokenizer
from tests.faults import scale
from tests.text.kept.alike import SAMPLES, assert_alike, assert_same_vocabulary, kept, text
from tests.text.kept.tokenizers import KINDS, trained


def kept_of(kind: str) -> KeptTokenizer:
    found = kept(trained(kind))
    assert found is not None
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_ids_and_spellings_are_the_librarys(kind):
    """Catches a token that is found by another's spelling, and one of the form's own making."""
    assert_same_vocabulary(kept_of(kind), trained(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_samples_are_cut_alike(kind):
    """Catches what each kind of letter, space and look-alike of a control token may do."""
    assert_alike(kept_of(kind), trained(kind), SAMPLES)


@scale.seeds(5000)
@pytest.mark.parametrize("kind", KINDS)
def test_texts_are_cut_alike(kind, cases):
    """Catches a merge in another order, a sum that rounds otherwise, a place that is off by one."""
    one, other = kept_of(kind), trained(kind)
    spellings = [other.spelling(token) or "" for token in range(other.size)]
    assert_alike(one, other, (text(Random(seed), spellings) for seed in cases))


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"silent"}))
def test_the_library_is_not_asked(kind):
    """Catches a form that is right because it never does the work."""
    tokenizer = kept_of(kind)
    for sample in SAMPLES:
        tokenizer.cut(sample, special=False, inside=False)
    assert not tokenizer._opened


def test_letters_that_vanish_are_the_librarys():
    """Catches places that are counted without the letters that the model leaves out."""
    tokenizer = kept_of("silent")
    tokenizer.cut("the cat", special=False, inside=False)
    assert not tokenizer._opened
    tokenizer.cut("the \u0416 cat", special=False, inside=False)
    assert tokenizer._opened


@pytest.mark.parametrize("kind", KINDS)
def test_long_texts_are_the_librarys(kind):
    """Catches minutes in Python over a book, at once or in parts."""
    for texts in (["the cat "] * 1000, ["the cat " * 1000]):
        found = kept_of(kind)
        found._left = 1000
        for each in texts:
            assert not found._opened
            found.cut(each, special=False, inside=False)
            if found._opened:
                break
        assert found._opened


def test_a_text_that_grows_is_the_librarys():
    """Catches a letter of which the normaliser makes thousands, all merged in Python."""
    rust = trained("gemma").steps
    grown = Rust.from_str(rust.to_str())
    grown.normalizer = normalizers.Replace("a", "b" * 1000)
    found = kept(LibraryTokenizer(grown, 1000, ()))
    assert found is not None
    found._left = 10_000
    found.cut("a" * 20, special=False, inside=False)
    assert found._opened


def _changed(kind: str, part: str, **changes: object) -> Rust:
    described = json.loads(trained(kind).steps.to_str())
    described[part] = (described[part] or {}) | changes
    return Rust.from_str(json.dumps(described))


def _added(kind: str, *names: str) -> Rust:
    rust = Rust.from_str(trained(kind).steps.to_str())
    rust.add_tokens(list(names))
    return rust


@pytest.mark.parametrize(
    "rust",
    [
        lambda: _changed("gemma", "model", end_of_word_suffix="x"),
        lambda: _changed("gemma", "model", continuing_subword_prefix="a", merges=[]),
        lambda: _changed("gemma", "model", dropout=0.1),
        lambda: _changed("gemma", "model", vocab={"a": 0, "b": 2}, merges=[]),
        lambda: _changed("gemma", "model", vocab={"a": 0, "b": 0}, merges=[]),
        lambda: _changed("gemma", "model", vocab={"ab": 0, "a": 1}, merges=[], ignore_merges=True),
        lambda: _changed("xglm", "model", unk_id=None),
        lambda: _changed("xglm", "model", byte_fallback=True),
        lambda: _changed("xglm", "model", vocab=[["a", 0.0], ["a", -1.0]]),
        lambda: _changed("xglm", "model", vocab=[["a", 0.0], ["b" * 100, -1.0]]),
        lambda: _added("silent", "\u0416"),
        lambda: _added("xglm", "\u0416"),
        lambda: _changed(
            "gpt2", "post_processor", type="RobertaProcessing", sep=["a", 0], cls=["a", 0]
        ),
        lambda: Rust(models.WordPiece({"a": 0, "[UNK]": 1})),
        lambda: Rust(models.WordLevel({"a": 0, "<unk>": 1}, "<unk>")),
        lambda: Rust(models.BPE()),
    ],
)
def test_what_is_not_understood_is_left_to_the_library(rust):
    """Catches a form of a tokenizer with settings that it does not know."""
    assert making.made(rust()) is None


def test_of_pairs_that_a_merge_makes_alike_each_has_its_rank(tmp_path: Path):
    """Catches a merge that is taken from a pair which has become another."""
    vocab = {text: at for at, text in enumerate(["a", "b", "c", "ab", "bc", "abc", "cab", "abcab"])}
    merges = [("a", "bc"), ("ab", "c"), ("c", "ab"), ("b", "c"), ("a", "b"), ("abc", "ab")]
    rust = Rust(models.BPE(vocab, merges))
    rust.pre_tokenizer = pre_tokenizers.Whitespace()
    whole = LibraryTokenizer(rust, 1, ())
    one = kept(whole)
    assert one is not None
    chance = Random(1)
    words = ("".join(chance.choices("abc", k=chance.randint(1, 12))) for _ in range(500))
    assert_alike(one, whole, words)


@pytest.mark.parametrize("score", [-19.0, -21.0, -29.0, -31.0])
def test_what_an_unknown_letter_costs(score):
    """Catches a piece that is taken, or not, where its letters are unknown one by one."""
    for best in (0.0, 4.0, 8.0, 12.0):
        pieces = [("<unk>", 0.0), ("a", best), ("a\u0416", score), ("b", -20.0)]
        whole = LibraryTokenizer(Rust(models.Unigram(pieces, 0, False)), 1, ())
        one = kept(whole)
        assert one is not None
        assert_alike(one, whole, ["a\u0416", "b\u0416\u0416a", "\u0416a\u0416b"])


@pytest.mark.parametrize(
    ("cut", "spelling", "spares", "first", "expected"),
    [
        ((7, 0, 3), "Ġab", False, True, (7, 1, 3)),
        ((7, 0, 3), "Ġab", True, True, (7, 0, 3)),
        ((7, 0, 3), "Ġab", True, False, (7, 0, 3)),
        ((7, 5, 8), "Ġab", True, True, (7, 5, 8)),
        ((7, 5, 8), "Ġab", True, False, (7, 6, 8)),
        ((7, 0, 4), "ĠĠab", True, True, (7, 2, 4)),
        ((7, 5, 8), "abĠ", True, False, (7, 5, 7)),
        ((7, 5, 7), "ĠĠ", False, False, (7, 7, 7)),
        ((7, 0, 1), "Ġ\xa0", True, True, (7, 1, 1)),
        ((7, 0, 1), "aĠĠ", False, True, (7, 0, 1)),
        ((7, 5, 6), "a\x1c", False, False, (7, 5, 6)),
        ((7, 5, 7), "\x85a", False, False, (7, 6, 7)),
    ],
)
def test_places_are_trimmed(cut, spelling, spares, first, expected):
    """Catches a space that was put before a text, counted as one of the text's."""
    given, names, wanted = [cut, (1, 2, 3)], [spelling, "abc"], [expected, (1, 2, 3)]
    way = 1 if first else -1
    assert offsets.trimmed(given[::way], names[::way], spares=spares) == wanted[::way]


def test_the_default_models_tokenizer_is_cut_alike(default_model):
    """Catches a real vocabulary that is unlike those of tests."""
    whole = LibraryTokenizer(Rust.from_file(str(default_model / "tokenizer.json")), 1, ())
    one = kept(whole)
    assert one is not None
    spellings = [whole.spelling(token) or "" for token in range(0, whole.size, 7)]
    assert_alike(one, whole, (text(Random(seed), spellings) for seed in range(100)))
    assert_same_vocabulary(one, whole, 50)
