"""Directories without tokenizer.json, against transformers' own readers of the same files."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from tokenizers import Tokenizer as Rust
from transformers import GPT2Tokenizer, LlamaTokenizer, Qwen2Tokenizer
from transformers.models.qwen3_5.tokenization_qwen3_5 import Qwen3_5Tokenizer

from gptcli.errors import ModelError
from gptcli.formats.tokenizer_json import reading
from gptcli.text.tokenizer import Tokenizer
from tests.formats.tokenizer_json.spm import train
from tests.text.tokenizers_for_tests import byte_level

MODEL = train()
GEMMA = train(add_dummy_prefix=False, user_defined_symbols=["▁▁", "<table>"], pad_id=3)
_CHANCE = random.Random(3)
TEXTS = [
    "",
    "the cat's  cats of Paris, \n\n and\tFranks' 12345",
    "naïve e\u0301 漢字 🙂",
    *("".join(_CHANCE.choices("abcdeé漢 .1ÄŽ\n z", k=_CHANCE.randint(1, 40))) for _ in range(200)),
]


@pytest.fixture(autouse=True)
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPTCLI_DATA_DIR", str(tmp_path / "data"))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    return tmp_path / "model"


def with_pieces(directory: Path, model: bytes = MODEL, **settings: Any) -> Path:
    (directory / "tokenizer.model").write_bytes(model)
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    return directory


def with_merges(directory: Path, **settings: Any) -> Path:
    found = json.loads(byte_level().to_str())["model"]
    (directory / "vocab.json").write_text(json.dumps(found["vocab"]))
    merges = "\n".join(" ".join(merge) for merge in found["merges"])
    (directory / "merges.txt").write_text(f"#version: 0.2\n{merges}\n")
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    return directory


def test_pieces_as_sentencepiece_cuts_them(directory: Path) -> None:
    """Catches a text cut otherwise than the model was trained on; a BOS that is left out."""
    ours = Tokenizer(with_pieces(directory))
    theirs = sentencepiece.SentencePieceProcessor(model_proto=MODEL)
    for text in TEXTS:
        ids = ours.encode(text)
        assert ids == (theirs.encode(text) if text else [])
        assert b"".join(map(ours.bytes_of, ids)).decode() == (f" {text}" if text else "")
    assert ours.prefix == [theirs.bos_id()]


def test_likely_pieces_as_sentencepiece_cuts_them(directory: Path) -> None:
    """Catches T5's kind of a vocabulary cut by merges, and a BOS before its texts."""
    kind = {"model_type": "unigram", "normalization_rule_name": "nmt_nfkc"}
    model = train(remove_extra_whitespaces=True, **kind)
    (directory / "spiece.model").write_bytes(model)
    (directory / "tokenizer_config.json").write_text('{"tokenizer_class": "T5Tokenizer"}')
    ours = Tokenizer(directory)
    theirs = sentencepiece.SentencePieceProcessor(model_proto=model)
    assert ours.prefix == [] and "spiece.model" in ours.notices[0].text
    for text in TEXTS:
        ids = ours.encode(text)
        assert sum(map(theirs.get_score, ids)) == pytest.approx(
            sum(map(theirs.get_score, theirs.encode(text))), abs=1e-3
        )
        assert ours.decode(ids).decode() == theirs.decode(ids) == theirs.decode(theirs.encode(text))


@pytest.mark.parametrize("legacy", [True, False])
def test_pieces_as_transformers_cuts_them(directory: Path, legacy: bool) -> None:
    """Catches the space after a control token, which `legacy` decides."""
    ours = Tokenizer(with_pieces(directory, legacy=legacy, tokenizer_class="LlamaTokenizer"))
    theirs = LlamaTokenizer.from_pretrained(directory, legacy=legacy)
    # Where a text begins with a space, transformers takes it for the one that it would add.
    for text in (text for text in TEXTS if not text.startswith(" ")):
        whole = f"{text}</s>x"
        ids = theirs.encode(whole, add_special_tokens=False)
        assert ours.encode(whole, special=True) == ids


def test_no_space_before_gemma_s_texts(directory: Path) -> None:
    """Catches Gemma's texts with a space before them; runs of spaces that are one token."""
    ours = Tokenizer(with_pieces(directory, GEMMA, tokenizer_class="GemmaTokenizer"))
    theirs = sentencepiece.SentencePieceProcessor(model_proto=GEMMA)
    for text in [*TEXTS, "a  b    c", "<table> <tab", "  "]:
        ids = ours.encode(text)
        assert ids == theirs.encode(text)
        assert b"".join(map(ours.bytes_of, ids)).decode() == text


def test_added_tokens(directory: Path) -> None:
    """Catches tokens that other files add and that are lost, or lose a setting."""
    size = sentencepiece.SentencePieceProcessor(model_proto=MODEL).get_piece_size()
    (directory / "added_tokens.json").write_text(json.dumps({"<tool>": size, "<|end|>": size + 1}))
    end = {"content": "<|end|>", "special": True, "lstrip": True, "normalized": True}
    ours = Tokenizer(with_pieces(directory, added_tokens_decoder={str(size + 1): end}))
    assert ours.size == size + 2
    assert ours.encode("a<tool>")[-1] == size and not ours.is_special(size)
    assert ours.encode("a <|end|>", special=True)[-1] == size + 1 and ours.is_special(size + 1)
    assert len(ours.encode("a <|end|>", special=True)) == len(ours.encode("a")) + 1
    assert size + 1 not in ours.encode("a<|end|>")


@pytest.mark.parametrize("settings", [{"add_bos_token": False}, {"add_bos_token": True}])
def test_bos_is_as_the_settings_say(directory: Path, settings: dict[str, bool]) -> None:
    """Catches a BOS that is there, or not, whatever the model was trained with."""
    ours = Tokenizer(with_pieces(directory, bos_token="<s>", **settings))
    assert ours.prefix == ([1] if settings["add_bos_token"] else [])


@pytest.mark.parametrize("space", [None, True])
def test_merges_as_transformers_reads_them(directory: Path, space: bool | None) -> None:
    """Catches the comment line taken for a merge, and the space that add_prefix_space puts."""
    settings = {} if space is None else {"add_prefix_space": space}
    ours = Tokenizer(with_merges(directory, unk_token="<|end|>", eos_token="<|end|>", **settings))
    theirs = GPT2Tokenizer.from_pretrained(directory)
    for text in [*TEXTS, "the cats<|end|>"]:
        assert ours.encode(text, special=True) == theirs.encode(text)
    assert ours.is_special(ours.id_of("<|end|>"))


@pytest.mark.parametrize("kind", [Qwen2Tokenizer, Qwen3_5Tokenizer])
def test_qwen_s_merges_cut_digits_and_compose(directory: Path, kind: type[Any]) -> None:
    """Catches GPT-2's pattern for a Qwen vocabulary, and letters cut from their marks."""
    names = dict.fromkeys(("unk_token", "eos_token", "pad_token"), "<|end|>")
    ours = Tokenizer(with_merges(directory, tokenizer_class=kind.__name__, **names))
    found = json.loads(byte_level().to_str())["model"]
    theirs = kind(vocab=found["vocab"], merges=[tuple(two) for two in found["merges"]], **names)
    for text in [*TEXTS, "हिन्दी กำ x\u0308y"]:
        assert ours.encode(text) == theirs.encode(text)


def test_it_is_made_once_and_told_once(directory: Path, tmp_path: Path) -> None:
    """Catches a note on every run, a conversion on every run, and one that outlives its files."""
    first, again = Tokenizer(with_pieces(directory)), Tokenizer(directory)
    assert len(first.notices) == 1 and not again.notices
    assert "tokenizer.model" in first.notices[0].text and "\n" not in first.notices[0].text
    assert len(list((tmp_path / "data" / "tokenizers").glob("*.json"))) == 1
    assert first.encode("abc cab") == again.encode("abc cab")
    assert Tokenizer(with_pieces(directory, add_bos_token=False)).notices


def test_it_is_made_where_nothing_can_be_kept(directory: Path, tmp_path: Path) -> None:
    """Catches an error over a convenience."""
    (tmp_path / "data").write_text("a file")
    (notice,) = Tokenizer(with_pieces(directory)).notices
    assert "kept" not in notice.text


def test_tokenizer_json_wins(directory: Path) -> None:
    """Catches a conversion where there is nothing to convert."""
    byte_level().save(str(with_pieces(directory) / "tokenizer.json"))
    ours = Tokenizer(directory)
    assert not ours.notices
    assert ours.size == Rust.from_file(str(directory / "tokenizer.json")).get_vocab_size()


REFUSED = {
    "XLMRobertaTokenizer": ({"tokenizer_class": "XLMRobertaTokenizer"}, MODEL),
    "not a SentencePiece model": ({}, b"\x08"),
    "character": ({}, train(model_type="char")),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_pieces_that_are_refused(directory: Path, reason: str) -> None:
    """Catches a tokenizer of other rules made in silence."""
    settings, model = REFUSED[reason]
    with pytest.raises(ModelError, match=reason) as caught:
        Tokenizer(with_pieces(directory, model, **settings))
    assert caught.value.subject.endswith("tokenizer.model") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("merges.txt", "a b c\n", "'a b c'"),
        ("merges.txt", "\udcff", "UTF-8"),
        ("vocab.json", '{"a": "1"}', "without an id"),
        ("merges.txt", "漢 字\n", "cannot be made"),
        ("tokenizer_config.json", '{"tokenizer_class": "WhisperTokenizer"}', "WhisperTokenizer"),
        ("tokenizer_config.json", '{"added_tokens_decoder": {"x": {}}}', "does not describe"),
    ],
)
def test_merges_that_are_refused(directory: Path, name: str, content: str, reason: str) -> None:
    """Catches an exception of a library, or a file half read."""
    with_merges(directory)
    (directory / name).write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ModelError, match=reason):
        Tokenizer(directory)


def test_sources() -> None:
    """Catches half of a pair taken for a tokenizer."""
    assert reading.sources(["vocab.json"]) == ()
    assert reading.sources(["vocab.json", "merges.txt"]) == ("vocab.json", "merges.txt")
    assert reading.sources(["vocab.json", "merges.txt", "tokenizer.model"]) == ("tokenizer.model",)
