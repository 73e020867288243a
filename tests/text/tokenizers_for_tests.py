"""Tiny tokenizers of the two schemes, as model directories hold them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, decoders, models, pre_tokenizers, processors, trainers
from tokenizers import Tokenizer as Rust

from gptcli.text.tokenizer import Tokenizer

CORPUS = ["the cat sat on the mat in France", "the cats of Paris and the Franks"] * 20
BOS, EOS = "<s>", "</s>"


def byte_level(*, split: bool = True) -> Rust:
    """GPT-2's scheme, with every byte in its alphabet; <|end|> is a control token.

    split False leaves out GPT-2's pattern, so that a token may hold more than one word.
    """
    rust = Rust(models.BPE())
    rust.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=split)
    rust.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=["<|end|>"],
        show_progress=False,
    )
    rust.train_from_iterator(CORPUS, trainer)
    return rust


def sentence_piece(*, prepend: str = "never") -> Rust:
    """Llama 2's scheme: ▁ for a space, <0xAB> for each byte that no token spells."""
    learner = Rust(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    learner.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=80, show_progress=False))
    learned = json.loads(learner.to_str())["model"]
    letters = [*learned["vocab"], *(c for c in "<>/" if c not in learned["vocab"])]
    names = ["<unk>", BOS, EOS, *(f"<0x{byte:02X}>" for byte in range(256)), *letters]
    vocab = {name: i for i, name in enumerate(names)}
    merges = [tuple(pair) for pair in learned["merges"]]
    model = models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    rust = Rust(model)
    rust.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prepend, split=False)
    rust.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    rust.add_special_tokens(["<unk>", BOS, EOS])
    return rust


def unigram(names: list[str]) -> Rust:
    """A Unigram model whose own vocabulary holds control tokens, at the best of scores."""
    letters = [(letter, -5.0) for letter in "abcdefghijklmnopqrstuvwxyz</>"]
    rust = Rust(models.Unigram([*((name, 0.0) for name in names), ("▁", -2.0), *letters], 0, False))
    rust.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    rust.decoder = decoders.Metaspace(prepend_scheme="never")
    rust.add_special_tokens(names)
    return rust


def with_template(rust: Rust, *before: str, after: tuple[str, ...] = ()) -> Rust:
    """The tokenizer with control tokens around every text."""
    names = dict.fromkeys((*before, *after))
    rust.post_processor = processors.TemplateProcessing(
        single=[*before, "$A", *after],
        special_tokens=[(name, rust.token_to_id(name)) for name in names],
    )
    return rust


def saved(rust: Rust, directory: Path, **settings: Any) -> Tokenizer:
    """Opened from a directory, with a tokenizer_config.json where there are settings."""
    directory.mkdir(parents=True, exist_ok=True)
    rust.save(str(directory / "tokenizer.json"))
    if settings:
        (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    return Tokenizer(directory)


def added(text: str, **options: bool) -> AddedToken:
    """A token that is added to the vocabulary but is no control token."""
    return AddedToken(text, special=False, normalized=False, **options)
