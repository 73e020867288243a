"""From the library's tokenizer to its kept form, where all of its settings are understood.

What is taken is what the library has understood, as it writes it down again; the steps before the
model stay the library's, with a vocabulary of no more than what they can make of one letter.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from gptcli.errors import ModelError
from gptcli.formats import json as jsonfile
from gptcli.formats.tokenizer_json import library
from gptcli.formats.tokenizer_json.parts import Part
from gptcli.text.kept import merges, offsets, spellings, unigram
from gptcli.text.kept.unigram import BYTE_NAMES

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_BPE = {
    *("type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix"),
    *("fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"),
}
_UNIGRAM = {"type", "unk_id", "vocab", "byte_fallback"}
#: Letters of the longest piece of a Unigram model; SentencePiece makes them of 16.
_PIECE = 64
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")

Made = tuple[dict[str, Any], dict[str, bytes]]


class _UnknownError(Exception):
    """A setting whose meaning here is not certain: the library alone is to be asked."""


def made(rust: Tokenizer) -> Made | None:
    """The facts and the tables of a tokenizer's model and steps, None where it is not covered."""
    try:
        # It tells of holes in a vocabulary on standard output.
        if not _dense(rust):
            return None
        with library.guarded():
            text = rust.to_str().encode()
        whole = jsonfile.parse(text, "it")
        trims = offsets.trims(whole["post_processor"])
        model = whole["model"]
        # A Unigram model's tokens are not told by their spellings where these are trimmed.
        if trims is None or (trims and model["type"] == "Unigram"):
            return None
        added = {each["content"]: each["id"] for each in whole["added_tokens"]}
        make = {"BPE": _bpe, "Unigram": _unigram}.get(model["type"])
        if make is None:
            return None
        facts, tables, light = make(model, added)
    except (_UnknownError, ModelError):
        return None
    steps = whole | {"model": light, "post_processor": None}
    tables["steps"] = json.dumps(steps, ensure_ascii=False).encode()
    return facts | {"trims": trims}, tables


def _dense(rust: Tokenizer) -> bool:
    """Whether ids are all numbers below that of tokens, each that of one token."""
    size, model = rust.get_vocab_size(with_added_tokens=False), rust.model
    return size > 0 and all(model.id_to_token(at) is not None for at in range(size))


def _bpe(model: Part, added: dict[str, int]) -> tuple[dict[str, Any], dict[str, bytes], Part]:
    vocab, unknown = model["vocab"], model["unk_token"]
    _require(set(model) == _BPE and not model["dropout"])
    _require(not (model["continuing_subword_prefix"] or model["end_of_word_suffix"]))
    # Beside the vocabulary, these would be found where the model looks for a letter.
    beside = [text for text in added if text not in vocab]
    _require(not any(len(t) == 1 or t == unknown or _BYTE.fullmatch(t) for t in beside))
    _require(all(vocab.get(text, at) == at for text, at in added.items()))
    if model["ignore_merges"]:
        # A word is put together again from its letters, each of which has to be one.
        letters = set().union(*vocab)
        _require(letters <= vocab.keys() and (unknown is None or len(unknown) > 1))
    light = {text: at for text, at in vocab.items() if len(text) == 1 or text == unknown}
    light |= {text: vocab[text] for text in BYTE_NAMES if text in vocab} | added
    none = None
    if unknown is None:
        # A letter that the model leaves out, and the places of what follows with it, is seen so.
        none, unknown = _beyond(vocab, added), _name(light)
        light[unknown] = none
    tables = spellings.tables(sorted(vocab, key=vocab.__getitem__))
    pairs = ((vocab[one], vocab[two], vocab[one + two]) for one, two in model["merges"])
    try:
        tables |= merges.tables(len(vocab), pairs)
    except (KeyError, TypeError, ValueError):
        raise _UnknownError from None
    facts = {"kind": "BPE", "whole_words": model["ignore_merges"], "none": none}
    changed = {"vocab": light, "merges": [], "unk_token": unknown, "ignore_merges": False}
    return facts, tables, model | changed


def _unigram(model: Part, added: dict[str, int]) -> tuple[dict[str, Any], dict[str, bytes], Part]:
    _require(set(model) == _UNIGRAM and model["unk_id"] is not None)
    texts = [text for text, _ in model["vocab"]]
    scores = [score for _, score in model["vocab"]]
    vocab = {text: at for at, text in enumerate(texts)}
    _require(len(vocab) == len(texts) and all(map(_finite, scores)))
    # Each is looked for at each letter of a word.
    _require(max(map(len, texts), default=0) <= _PIECE)
    _require(all(text in vocab for text in added if len(text) == 1))
    _require(all(vocab.get(text, at) == at for text, at in added.items()))
    spelt = None
    if model["byte_fallback"]:
        _require(all(text in vocab for text in BYTE_NAMES))
        spelt = [vocab[text] for text in BYTE_NAMES]
    # Every letter comes as its bytes, each with its place.
    beyond = _beyond(vocab, added)
    light = {text: beyond + at for at, text in enumerate(BYTE_NAMES)} | added
    tables = spellings.tables(texts)
    tables |= unigram.tables(scores)
    facts = {"kind": "Unigram", "unknown": model["unk_id"], "worst": min(scores), "bytes": spelt}
    changed = {"type": "BPE", "vocab": light, "merges": [], "byte_fallback": True}
    return facts, tables, changed


def _beyond(vocab: Collection[str], added: dict[str, int]) -> int:
    """An id that no token has."""
    return max(len(vocab), *(at + 1 for at in added.values()), 0)


def _name(taken: Collection[str]) -> str:
    """A text of more than a letter that no token is."""
    name = "unknown"
    while name in taken:
        name += "_"
    return name


def _finite(score: Any) -> bool:
    return isinstance(score, float | int) and math.isfinite(score)


def _require(known: bool) -> None:
    if not known:
        raise _UnknownError
