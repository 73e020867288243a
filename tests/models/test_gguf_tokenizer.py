from __future__ import annotations

import base64
import functools
import itertools
import json
from pathlib import Path
from typing import Any

import gguf
import pytest
import regex
import sentencepiece
from tokenizers import Tokenizer

from gptcli.errors import ModelError
from gptcli.formats.gguf import header
from gptcli.formats.tokenizer_json import sentencepiece_model
from gptcli.models.gguf.convert import convert
from gptcli.models.gguf.tokenizer import Vocabulary
from gptcli.text.tokenizer import Tokenizer as OurTokenizer
from tests.formats.tokenizer_json.spm import train

GPT2_SPLIT = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEXTS = [
    "Hello world",
    "  leading, trailing  ",
    "It's they'll we've I'M DON'T",
    "In 1984 there were 12,345.67 things; x2 = 3½ ④ ٣٤",
    "def f(x: int) -> int:\n\treturn x**2  # ok\n\n\n    pass\r\n",
    "emoji 🙂🙃 👩‍👩‍👧 flags 🇩🇪 and\u00a0nbsp\u200bzw",
    "漢字とかな、混ぜて 中文。한국어 العربية हिन्दी",
    "naïve café Straße ﬁ e\u0301 Ångström",
    "\x00\x07 \x7f control \ufeff bom",
    "<b>&amp;</b> https://x.org/?q=1&r=2 $E=mc^2$",
    " ",
    "\n\n \n\t",
    "",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
]


class SlowBpe:
    """Byte-level BPE by definition: split, spell as bytes, merge the best pair, then again."""

    def __init__(self, tokenizer: dict[str, Any], split: str, digits: bool, whole: bool) -> None:
        model = tokenizer["model"]
        self.vocabulary = dict(model["vocab"])
        self.ranks = {tuple(merge): rank for rank, merge in enumerate(model["merges"])}
        self.split, self.digits, self.whole = regex.compile(split), digits, whole
        self.special = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
        shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
        self.letters = {byte: chr(byte) for byte in shown}
        for byte in range(256):
            if byte not in self.letters:
                self.letters[byte] = chr(256 + len(self.letters) - len(shown))

    def encode(self, text: str) -> list[int]:
        marks = "|".join(regex.escape(mark) for mark in sorted(self.special, key=len)[::-1])
        ids = []
        for piece in regex.split(f"({marks})", text) if marks else [text]:
            if piece in self.special:
                ids.append(self.special[piece])
                continue
            parts = regex.findall(r"\p{N}|\P{N}+", piece) if self.digits else [piece]
            for part in parts:
                for word in self.split.findall(part):
                    ids += self._merge("".join(self.letters[byte] for byte in word.encode()))
        return ids

    def _merge(self, word: str) -> list[int]:
        if self.whole and word in self.vocabulary:
            return [self.vocabulary[word]]
        parts = list(word)
        while True:
            pairs = [
                (self.ranks.get(pair, 1 << 30), at)
                for at, pair in enumerate(itertools.pairwise(parts))
            ]
            rank, at = min(pairs, default=(1 << 30, 0))
            if rank == 1 << 30:
                return [self.vocabulary[part] for part in parts]
            parts[at : at + 2] = [parts[at] + parts[at + 1]]


@functools.cache
def _default(path: Path) -> tuple[SlowBpe, Tokenizer]:
    tokenizer = json.loads((path / "tokenizer.json").read_text(encoding="utf-8"))
    return (
        SlowBpe(tokenizer, GPT2_SPLIT, digits=True, whole=False),
        Tokenizer.from_file(str(path / "tokenizer.json")),
    )


@pytest.mark.parametrize("text", [*TEXTS, "<|im_start|>user\nHi 42<|im_end|>\n", "a<|im_end|>b"])
def test_default_model_s_ids(default_model: Path, text: str) -> None:
    """Digits merged into numbers, a wrong split, merges out of order, specials spelled out."""
    slow, fast = _default(default_model)
    assert fast.encode(text).ids == slow.encode(text)


@pytest.mark.parametrize("text", TEXTS)
def test_default_model_decodes_what_it_encodes(default_model: Path, text: str) -> None:
    """A decoder that adds a space or loses bytes."""
    _, fast = _default(default_model)
    assert fast.decode(fast.encode(text).ids, skip_special_tokens=False) == text


def test_default_model_s_special_tokens(default_model: Path) -> None:
    """Control tokens that are not special, or at other ids than in the file."""
    _, fast = _default(default_model)
    added = fast.get_added_tokens_decoder()
    assert sorted(added) == list(range(17)) and all(token.special for token in added.values())
    assert added[1].content == "<|im_start|>" and added[2].content == "<|im_end|>"
    config = json.loads((default_model / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert (config["bos_token"], config["eos_token"]) == ("<|im_start|>", "<|im_end|>")
    assert (config["unk_token"], config["pad_token"]) == ("<|endoftext|>", "<|im_end|>")
    assert config["add_bos_token"] is False and config["model_max_length"] == 8192
    assert "<|im_start|>" in config["chat_template"]
    generation = json.loads((default_model / "generation_config.json").read_text())
    # <|im_end|> as the file says; <|endoftext|> and <reponame> as llama.cpp knows by their texts.
    assert generation == {"bos_token_id": 1, "eos_token_id": [2, 0, 4], "pad_token_id": 2}


def test_transformers_gives_the_same_ids(default_model: Path) -> None:
    """A tokenizer_config.json that makes transformers rebuild the tokenizer otherwise."""
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(default_model)
    slow, _ = _default(default_model)
    for text in TEXTS:
        assert theirs(text)["input_ids"] == slow.encode(text)


@pytest.mark.parametrize(
    ("pre", "split", "digits", "whole"),
    [
        ("gpt-2", GPT2_SPLIT, False, False),
        ("smollm", GPT2_SPLIT, True, False),
        ("llama-bpe", LLAMA3_SPLIT, False, True),
    ],
)
def test_every_way_to_split(
    tmp_path: Path, write_llama, drain, pre: str, split: str, digits: bool, whole: bool
) -> None:
    """One scheme's pre-tokenizer used for another; Llama 3's BOS left out."""
    write_llama(tmp_path / "x.gguf", pre=pre)
    out = tmp_path / "out"
    out.mkdir()
    drain(convert(tmp_path / "x.gguf", out, "tiny", "a test"))
    tokenizer = json.loads((out / "tokenizer.json").read_text(encoding="utf-8"))
    fast = Tokenizer.from_file(str(out / "tokenizer.json"))
    slow = SlowBpe(tokenizer, split, digits, whole)
    bos = [286] if pre == "llama-bpe" else []
    for text in [*TEXTS, "hello world 1212 122 <|control_0|>x"]:
        assert fast.encode(text).ids == bos + slow.encode(text)


def _add(key: str, value: object):
    def add(writer: gguf.GGUFWriter) -> None:
        field = f"tokenizer.ggml.{key}"
        for fields in writer.kv_data:
            fields.pop(field, None)
        if isinstance(value, list):
            writer.add_array(field, value)
        elif isinstance(value, bool):
            writer.add_bool(field, value)
        elif isinstance(value, str):
            writer.add_string(field, value)
        else:
            writer.add_uint32(field, value)

    return add


REFUSED = {
    "WordPiece": ("model", "bert"),
    "RWKV": ("model", "rwkv"),
    "scores": ("model", "llama"),
    "never-heard-of": ("pre", "never-heard-of"),
    "add_bos_token": ("add_bos_token", 1),
    "unknown type 9": ("token_type", [9] * 288),
    "tokenizer.ggml.new_rule": ("new_rule", False),
    "precompiled_charsmap": ("precompiled_charsmap", [1, 2]),
    "merge": ("merges", ["a b c"]),
    "rebuilt": ("merges", ["漢 字"]),
    "token twice": ("tokens", ["a"] * 288),
    "token_type": ("token_type", [1, 2]),
    "vocabulary": ("eos_token_id", 288),
    "wrong type": ("tokens", [1, 2]),
}


@pytest.mark.parametrize("what", REFUSED)
def test_tokenizers_that_cannot_be_rebuilt_are_refused(
    tmp_path: Path, write_llama, what: str
) -> None:
    """A wrong tokenizer made in silence, or an exception of a library."""
    write_llama(tmp_path / "x.gguf", extra=_add(*REFUSED[what]))
    with pytest.raises(ModelError, match=what):
        vocabulary = Vocabulary(header.read(tmp_path / "x.gguf"))
        vocabulary.tokenizer()
        vocabulary.ends()


def _add_pieces(data: bytes, kind: str = "llama", **flags: bool | list[int]):
    """A SentencePiece vocabulary, as llama.cpp's converter writes it."""
    theirs = sentencepiece.SentencePieceProcessor(model_proto=data)
    size = theirs.get_piece_size()
    assert size == 288
    kinds = (theirs.is_unknown, theirs.is_control, theirs.is_unused, theirs.is_byte)
    numbers = (2, 3, 5, 6)
    types = [
        next((n for n, k in zip(numbers, kinds, strict=True) if k(at)), 1) for at in range(size)
    ]

    def add(writer: gguf.GGUFWriter) -> None:
        for fields in writer.kv_data:
            for key in [key for key in fields if key.startswith("tokenizer.ggml.")]:
                del fields[key]
        writer.add_tokenizer_model(kind)
        writer.add_tokenizer_pre("default")
        writer.add_token_list([theirs.id_to_piece(at) for at in range(size)])
        writer.add_token_scores([theirs.get_score(at) for at in range(size)])
        writer.add_token_types(types)
        for key, value in flags.items():
            add = writer.add_bool if isinstance(value, bool) else writer.add_array
            add(f"tokenizer.ggml.{key}", value)

    return add


@pytest.mark.parametrize("space", [True, False])
def test_sentencepiece_s_ids(tmp_path: Path, write_llama, drain, space: bool) -> None:
    """Catches merges out of order, bytes lost, a BOS or a first space that is not the file's."""
    data = train(vocab_size=288, add_dummy_prefix=space)
    flags = {} if space else {"add_space_prefix": False, "add_bos_token": False}
    write_llama(tmp_path / "x.gguf", extra=_add_pieces(data, **flags))
    out = tmp_path / "out"
    out.mkdir()
    drain(convert(tmp_path / "x.gguf", out, "tiny", "a test"))
    theirs, ours = sentencepiece.SentencePieceProcessor(model_proto=data), OurTokenizer(out)
    assert ours.prefix == ([theirs.bos_id()] if space else [])
    for text in [*TEXTS, "abcab dé漢 cab.1  a"]:
        ids = ours.encode(text)
        assert ids == (theirs.encode(text) if text else [])
        first = " " if space and text else ""
        assert b"".join(map(ours.bytes_of, ids)).decode() == first + text
        decoded = Tokenizer.from_file(str(out / "tokenizer.json")).decode(ids)
        assert decoded == text == theirs.decode(ids)
    config = json.loads((out / "config.json").read_text())
    assert (config["bos_token_id"], config["eos_token_id"]) == (1, 2)
    settings = json.loads((out / "tokenizer_config.json").read_text())
    assert (settings["unk_token"], settings["add_prefix_space"]) == ("<unk>", space)


def _add_merges(data: bytes):
    """The same as Gemma 4's converter writes it: with merges, and scores that say nothing."""
    theirs = sentencepiece.SentencePieceProcessor(model_proto=data)
    pieces = {theirs.id_to_piece(at): -theirs.get_score(at) for at in range(288)}
    cuts = [(pieces[text], text, cut) for text in pieces for cut in range(1, len(text))]
    pairs = [(text[:cut], text[cut:]) for _, text, cut in sorted(cuts)]
    add_pieces = _add_pieces(data, add_space_prefix=False, add_bos_token=True)

    def add(writer: gguf.GGUFWriter) -> None:
        add_pieces(writer)
        writer.add_tokenizer_model("gemma4")
        writer.add_tokenizer_pre("gemma4")
        writer.add_token_scores([0.0] * 288)
        writer.add_token_merges([" ".join(each) for each in pairs if set(each) <= set(pieces)])
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)

    return add


def test_pieces_with_merges(tmp_path: Path, write_llama, drain) -> None:
    """Catches Gemma 4's merges left for its scores, or a space put before its texts."""
    data = train(vocab_size=288, add_dummy_prefix=False)
    write_llama(tmp_path / "x.gguf", extra=_add_merges(data))
    out = tmp_path / "out"
    out.mkdir()
    drain(convert(tmp_path / "x.gguf", out, "tiny", "a test"))
    theirs, ours = sentencepiece.SentencePieceProcessor(model_proto=data), OurTokenizer(out)
    assert ours.prefix == [1]
    for text in [*TEXTS, "abcab dé漢 cab.1  a"]:
        assert ours.encode(text) == (theirs.encode(text) if text else [])
        assert b"".join(map(ours.bytes_of, ours.encode(text))).decode() == text


def test_likely_pieces(tmp_path: Path, write_llama) -> None:
    """Catches T5's kind cut by merges, its table of letters lost, or a BOS that it has not."""
    data = train(
        model_type="unigram",
        vocab_size=288,
        normalization_rule_name="nmt_nfkc",
        remove_extra_whitespaces=True,
    )
    table = base64.b64decode(sentencepiece_model.parse(data).character_map or "")
    flags = {"add_space_prefix": True, "remove_extra_whitespaces": True}
    add = _add_pieces(data, "t5", precompiled_charsmap=table, **flags)
    write_llama(tmp_path / "x.gguf", extra=add)
    vocabulary = Vocabulary(header.read(tmp_path / "x.gguf"))
    ours = Tokenizer.from_str(json.dumps(vocabulary.tokenizer()))
    theirs = sentencepiece.SentencePieceProcessor(model_proto=data)
    assert not vocabulary.begins and vocabulary.id("eos") == 1
    for text in [each for each in [*TEXTS, "abcab dé漢 cab.1  a ½ ﬁ"] if each.strip()]:
        assert ours.decode(ours.encode(text).ids) == theirs.decode(theirs.encode(text))
        ids = (ours.encode(text).ids, theirs.encode(text))
        one, other = (sum(map(theirs.get_score, each)) for each in ids)
        assert one == pytest.approx(other, abs=1e-3)


def test_a_text_after_a_control_token_has_its_space(tmp_path: Path, write_llama) -> None:
    """Catches a first space at the start of a document only: llama.cpp puts it after each."""
    data = train(vocab_size=288)
    write_llama(tmp_path / "x.gguf", extra=_add_pieces(data))
    ours = Tokenizer.from_str(json.dumps(Vocabulary(header.read(tmp_path / "x.gguf")).tokenizer()))
    theirs = sentencepiece.SentencePieceProcessor(model_proto=data)
    assert ours.encode("ab</s>ab").ids == [1, *theirs.encode("ab"), 2, *theirs.encode("ab")]


@pytest.mark.parametrize(
    ("names", "ends"),
    [
        (["<|im_end|>"], ["<|im_end|>"]),
        (["<end_of_turn>", "<|eot_id|>"], ["<|eot_id|>", "<end_of_turn>"]),
        # What ends a message of gpt-oss does not end its answer.
        (["<|end|>", "<|return|>", "<|call|>"], ["<|return|>", "<|call|>"]),
        (["<|end|>"], ["<|end|>"]),
        (["[e~["], ["[e~["]),
        # Llama 4 and Kimi have several.
        (["<|eom|>", "<|eot|>"], ["<|eot|>", "<|eom|>"]),
        (["[EOS]", "[EOT]", "<|im_end|>"], ["<|im_end|>", "[EOT]", "[EOS]"]),
    ],
)
def test_ends_known_by_their_text(tmp_path: Path, write_llama, names, ends) -> None:
    """Catches a chat model that runs on, since its file names only its EOS token."""

    def add(writer: gguf.GGUFWriter) -> None:
        for fields in writer.kv_data:
            if "tokenizer.ggml.tokens" in fields:
                fields["tokenizer.ggml.tokens"].value[270 : 270 + len(names)] = names

    write_llama(tmp_path / "x.gguf", extra=add)
    assert Vocabulary(header.read(tmp_path / "x.gguf")).ends() == [
        287,
        *(270 + names.index(end) for end in ends),
    ]


def test_files_from_before_the_field(tmp_path: Path, write_llama, write_gpt2) -> None:
    """Catches GPT-2's way for any old file: it is right for a GPT-2 only."""
    real = gguf.GGUFWriter.add_tokenizer_pre
    gguf.GGUFWriter.add_tokenizer_pre = lambda self, pre: None
    try:
        write_gpt2(tmp_path / "a.gguf")
        write_llama(tmp_path / "b.gguf")
    finally:
        gguf.GGUFWriter.add_tokenizer_pre = real
    assert Vocabulary(header.read(tmp_path / "a.gguf")).tokenizer()["pre_tokenizer"]
    with pytest.raises(ModelError, match=r"tokenizer\.ggml\.pre"):
        Vocabulary(header.read(tmp_path / "b.gguf"))


def test_second_end_token_is_kept(tmp_path: Path, write_llama) -> None:
    """A chat model that runs on since only its EOS ends a completion."""
    write_llama(tmp_path / "x.gguf", extra=_add("eot_token_id", 280))
    assert Vocabulary(header.read(tmp_path / "x.gguf")).ends() == [287, 280]
