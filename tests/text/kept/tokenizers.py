"""Tokenizers of the kinds that are kept, trained on what this repository says of itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import (
    AddedToken,
    Regex,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from tokenizers import Tokenizer as Rust

from gptcli.text.library_tokenizer import LibraryTokenizer

_ROOT = Path(__file__).parents[3]
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
_CONTROLS = ["<unk>", "<s>", "</s>"]
#: How Llama 3 splits, but for what its alphabet has beyond.
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@cache
def _corpus() -> list[str]:
    lines = (_ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    return [*lines, *["漢字 日本語 한국어 🙂 naïve café ÄŽ <tool> a▁b"] * 20]


@cache
def _learnt(size: int) -> dict[str, Any]:
    """SentencePiece's scheme: the vocabulary and merges of BPE over words that ▁ begins."""
    rust = Rust(models.BPE())
    rust.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    names = [*_CONTROLS, *_BYTES]
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=names, show_progress=False)
    rust.train_from_iterator(_corpus(), trainer)
    found: dict[str, Any] = json.loads(rust.to_str())["model"]
    return found


def _pieces(**options: Any) -> Rust:
    learnt = _learnt(1200)
    merges = [tuple(pair) for pair in learnt["merges"]]
    rust = Rust(models.BPE(learnt["vocab"], merges, **options))
    rust.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    rust.add_special_tokens(_CONTROLS)
    rust.add_tokens([AddedToken("▁▁", normalized=False), AddedToken("<tool>", normalized=True)])
    return rust


def gemma() -> Rust:
    """A whole text is one word; a byte for what has no letter."""
    rust = _pieces(byte_fallback=True)
    rust.normalizer = normalizers.Replace(" ", "▁")
    return rust


def llama2() -> Rust:
    """A space before each text, in the normaliser; an unknown token beside bytes."""
    rust = _pieces(unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    steps = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    rust.normalizer = normalizers.Sequence(steps)
    return rust


def unknowns() -> Rust:
    """No bytes: an unknown token for each letter that has none, a space before the first text."""
    rust = _pieces(unk_token="<unk>")
    rust.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    return rust


def silent() -> Rust:
    """Letters that are not known vanish, and the places of the others with them."""
    rust = _pieces()
    rust.normalizer = normalizers.Replace(" ", "▁")
    return rust


def _bytes(*, whole_words: bool = False) -> Rust:
    rust = Rust(models.BPE())
    rust.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=1200,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    rust.train_from_iterator(_corpus(), trainer)
    learnt = json.loads(rust.to_str())["model"]
    # Of these merges every third is lost: words are looked up whole where merges do not lead to it.
    kept = [tuple(p) for i, p in enumerate(learnt["merges"]) if not whole_words or i % 3]
    rust.model = models.BPE(learnt["vocab"], kept, ignore_merges=whole_words)
    rust.decoder = decoders.ByteLevel()
    rust.add_special_tokens(["<|endoftext|>", "<|im_end|>"])
    return rust


def gpt2() -> Rust:
    """Bytes as letters; places are trimmed, but for a space that was put before the text."""
    rust = _bytes()
    rust.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    rust.post_processor = processors.ByteLevel(trim_offsets=True, add_prefix_space=True)
    rust.add_tokens(
        [
            AddedToken(" spaced ", lstrip=True, rstrip=True),
            AddedToken("é", normalized=True),
            AddedToken("the", single_word=True),
            AddedToken("\x1c\u2009x\u2009\x1c"),
        ]
    )
    return rust


def llama3() -> Rust:
    """Whole words before merges, two steps that trim, a token before each text, control tokens."""
    rust = _bytes(whole_words=True)
    split = pre_tokenizers.Split(Regex(_LLAMA3), "isolated")
    bare = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    rust.pre_tokenizer = pre_tokenizers.Sequence([split, bare])
    rust.add_special_tokens([f"<|reserved_{n}|>" for n in range(250)])
    begin = processors.TemplateProcessing(
        single="<|endoftext|> $A",
        special_tokens=[("<|endoftext|>", rust.token_to_id("<|endoftext|>"))],
    )
    trims = [processors.ByteLevel(trim_offsets=True, add_prefix_space=on) for on in (True, False)]
    rust.post_processor = processors.Sequence([*trims, begin])
    return rust


def _unigram(*, bytes_too: bool, scheme: str) -> Rust:
    rust = Rust(models.Unigram())
    rust.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    rust.decoder = decoders.Metaspace(prepend_scheme=scheme)
    trainer = trainers.UnigramTrainer(
        vocab_size=600, special_tokens=_CONTROLS, unk_token="<unk>", show_progress=False
    )
    rust.train_from_iterator(_corpus(), trainer)
    pieces = [tuple(each) for each in json.loads(rust.to_str())["model"]["vocab"]]
    if bytes_too:
        pieces += [(name, -20.0) for name in _BYTES]
    rust.model = models.Unigram(pieces, 0, bytes_too)
    rust.add_special_tokens([*_CONTROLS, "e"])
    rust.add_tokens([AddedToken("<tool>")])
    return rust


def xglm() -> Rust:
    """Unigram after Unicode's own normal form, which makes several letters of one."""
    rust = _unigram(bytes_too=False, scheme="always")
    spaces = normalizers.Replace(Regex(" {2,}"), " ")
    rust.normalizer = normalizers.Sequence([normalizers.NFKC(), spaces])
    return rust


def unigram_bytes() -> Rust:
    """Unigram with a byte for what has no letter, and no normaliser."""
    return _unigram(bytes_too=True, scheme="first")


KINDS: dict[str, Callable[[], Rust]] = {
    each.__name__: each
    for each in (gemma, llama2, unknowns, silent, gpt2, llama3, xglm, unigram_bytes)
}


@cache
def trained(kind: str) -> LibraryTokenizer:
    """The tokenizer of a kind, made once."""
    return LibraryTokenizer(KINDS[kind](), 1, ())
