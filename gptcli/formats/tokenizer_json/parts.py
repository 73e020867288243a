"""The parts that every tokenizer.json is put together from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Part = dict[str, Any]


class UnfitError(Exception):
    """Why no tokenizer can be made; whoever knows the file makes a ModelError of it."""


def added(at: int, content: str, *, special: bool, **options: bool) -> Part:
    """A token that is found in a text before anything else is done with it.

    options: single_word, lstrip, rstrip or normalized, all off where nothing is said.
    """
    plain = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": at, "content": content, **plain, **options, "special": special}


def beginning(text: str, at: int) -> Part:
    """The post-processor that puts one token before every text."""
    first, one = (
        {"SpecialToken": {"id": text, "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
    )
    again, two = (
        {"SpecialToken": {"id": text, "type_id": 1}},
        {"Sequence": {"id": "B", "type_id": 1}},
    )
    return {
        "type": "TemplateProcessing",
        "single": [first, one],
        "pair": [first, one, again, two],
        "special_tokens": {text: {"id": text, "ids": [at], "tokens": [text]}},
    }


def bpe(
    vocab: Mapping[str, int],
    merges: Sequence[Sequence[str]],
    *,
    unknown: str | None = None,
    byte_fallback: bool = False,
    whole_words: bool = False,
) -> Part:
    """A BPE model; whole_words: a word that is in the vocabulary is not cut, merges or not."""
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": unknown,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        # SentencePiece makes one unknown token of a run of them.
        "fuse_unk": unknown is not None,
        "byte_fallback": byte_fallback,
        "ignore_merges": whole_words,
        "vocab": dict(vocab),
        "merges": [list(merge) for merge in merges],
    }


def unigram(vocab: Iterable[tuple[str, float]], unknown: int, *, byte_fallback: bool) -> Part:
    """A Unigram model of pieces and scores; unknown: the id of what no piece spells."""
    return {
        "type": "Unigram",
        "unk_id": unknown,
        "vocab": [list(each) for each in vocab],
        "byte_fallback": byte_fallback,
    }


def sequence(kind: str, parts: Sequence[Part]) -> Part | None:
    """Several parts in a row as one; kind: the name of their list in the format."""
    if len(parts) < 2:
        return parts[0] if parts else None
    return {"type": "Sequence", kind: list(parts)}


def whole(
    model: Part,
    added_tokens: Iterable[Part],
    *,
    normalizer: Part | None,
    pre_tokenizer: Part | None,
    post_processor: Part | None,
    decoder: Part,
) -> Part:
    """All of tokenizer.json, in the order of the format."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": sorted(added_tokens, key=lambda token: int(token["id"])),
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": post_processor,
        "decoder": decoder,
        "model": model,
    }
