"""Mutants of tokenizer files: nodes of JSON, fields of Protocol Buffers, and bytes."""

from __future__ import annotations

import base64
import copy
import json
import random
from collections.abc import Iterator
from functools import cache
from typing import Any

from tests.formats.tokenizer_json.spm import train
from tests.text.tokenizers_for_tests import (
    BOS,
    EOS,
    byte_level,
    sentence_piece,
    unigram,
    with_template,
)

_LONG = "a" * 3000
#: Values that a reader may stumble over, whatever stands in their place.
_HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 255, 2**31, 2**32 - 1, 2**32, 2**63, 2**64, 10**400, 1e308, -0.0,
    "", "a", "▁", " ", "\0", "é", "\ud800", _LONG, "<0x41>", "Ġ", "</s>", [], {}, [[]], [None],
    ["a", "b"], [["a", "a"]] * 50, {"": ""}, {"type": "Sequence"}, [0] * 3000,
)  # fmt: skip
_A = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
_EMPTY = {"type": "Replace", "pattern": {"Regex": "x*"}, "content": "xx"}
_SPLIT = {"type": "Split", "pattern": {"Regex": "(a+)+b"}, "behavior": "Isolated", "invert": False}
_BYTES = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": False}
_META = {"type": "Metaspace", "replacement": "x", "prepend_scheme": "always", "split": True}
_OTHER = _META | {"replacement": "y"}
_TEMPLATE = {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "x", "type_id": 0}}] * 300
    + [{"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
    "special_tokens": {"x": {"id": "x", "ids": [0] * 3000, "tokens": ["q"] * 3000}},
}
_MAP = base64.b64encode((2**31).to_bytes(4, "little") + b"aa\0").decode()
#: Parts that make much of little, or that have not been met.
PARTS: tuple[tuple[str, Any], ...] = (
    ("normalizer", {"type": "Sequence", "normalizers": [_A] * 40}),
    ("normalizer", {"type": "Sequence", "normalizers": [_EMPTY] * 30}),
    ("normalizer", {"type": "Sequence", "normalizers": [{"type": "Lowercase"}] * 5000}),
    ("normalizer", {"type": "Prepend", "prepend": "a" * 10**6}),
    ("normalizer", {"type": "Precompiled", "precompiled_charsmap": _MAP}),
    ("normalizer", {"type": "Precompiled", "precompiled_charsmap": "AAAAAA=="}),
    ("normalizer", {"pattern": {"String": ""}, "content": "aa"}),
    ("pre_tokenizer", {"type": "Sequence", "pretokenizers": [_BYTES] * 30}),
    ("pre_tokenizer", {"type": "Sequence", "pretokenizers": [_META, _OTHER] * 30}),
    ("pre_tokenizer", _SPLIT),
    ("pre_tokenizer", {"type": "FixedLength", "length": 0}),
    ("post_processor", _TEMPLATE),
    ("post_processor", {"type": "Sequence", "processors": [_TEMPLATE] * 30}),
    ("post_processor", {"type": "BertProcessing", "sep": ["q", 10**9], "cls": ["r", 10**9]}),
    ("decoder", {"type": "Sequence", "decoders": [_A] * 40}),
    ("decoder", {"type": "Strip", "content": "a", "start": 2**63, "stop": 2**63}),
    ("padding", {"strategy": {"Fixed": 10**12}, "direction": "Right", "pad_to_multiple_of": 0,
                 "pad_id": 0, "pad_type_id": 0, "pad_token": "a"}),
    ("truncation", {"max_length": 0, "stride": 5, "strategy": "LongestFirst", "direction": "Left"}),
    ("model", {"type": "WordPiece", "unk_token": "a", "continuing_subword_prefix": _LONG,
               "max_input_chars_per_word": 10**9, "vocab": {"a": 0}}),
    ("model", {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "b"}),
    ("model", {"type": "Unigram", "unk_id": 9, "vocab": [["a", -1.0]], "byte_fallback": True}),
    ("model", {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"],
               "continuing_subword_prefix": "éé", "end_of_word_suffix": _LONG}),
    ("added_tokens", [{"id": 2**32 - 1, "content": "a", "single_word": True, "lstrip": True,
                       "rstrip": True, "normalized": True, "special": False}] * 20),
)  # fmt: skip


@cache
def _wholes() -> tuple[Any, ...]:
    rust = (
        byte_level(),
        with_template(sentence_piece(prepend="first"), BOS, after=(EOS,)),
        unigram(["<unk>", "<s>"]),
    )
    found = [json.loads(each.to_str()) for each in rust]
    return tuple(found)


@cache
def _models() -> tuple[bytes, ...]:
    return train(), train(normalization_rule_name="nmt_nfkc"), train(user_defined_symbols=["▁▁"])


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    """(holder, key) of every node below one; few of a long list, so that parts are met as often."""
    keys = list(node) if isinstance(node, dict) else list(range(len(node)))
    for key in keys[:6] if len(keys) > 30 else keys:
        yield node, key
        if isinstance(node[key], dict | list):
            yield from _places(node[key])


def _flip(data: bytes, chance: random.Random) -> bytes:
    """A few bytes changed, left out or doubled."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8))):
        at = chance.randrange(len(changed) or 1)
        way = chance.randrange(4)
        if way == 0:
            changed[at : at + 1] = bytes([chance.randrange(256)])
        elif way == 1:
            del changed[at : at + chance.choice((1, 3, 100))]
        elif way == 2:
            changed[at:at] = changed[at : at + chance.choice((1, 3, 100))]
        else:
            changed[at : at + 1] = chance.choice((b"\0", b"\xff", b"\x80", b'"', b"}", b"1e9"))
    return bytes(
        changed[: chance.randrange(len(changed) + 1)] if chance.random() < 0.05 else changed
    )


def tokenizer_json(seed: int) -> bytes:
    """A mutant of a tokenizer.json."""
    chance = random.Random(seed)
    whole = copy.deepcopy(chance.choice(_wholes()))
    if chance.random() < 0.3:
        name, part = chance.choice(PARTS)
        whole[name] = copy.deepcopy(part)
    for _ in range(chance.choice((0, 1, 1, 2, 5))):
        places = list(_places(whole))
        holder, key = chance.choice(places)
        other, place = chance.choice(places)
        way = chance.randrange(5)
        if way == 0:
            holder[key] = copy.deepcopy(chance.choice(_HOSTILE))
        elif way == 1:
            holder[key] = copy.deepcopy(other[place])
        elif way == 2:
            holder.pop(key)
        elif way == 3 and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        else:
            holder[key], other[place] = copy.deepcopy(other[place]), copy.deepcopy(holder[key])
        if sum(1 for _ in _places(whole)) > 2000:
            # Copies of copies: a file of hundreds of megabytes is another fault.
            return _flip(json.dumps(chance.choice(_wholes())).encode(), chance)
    data = json.dumps(whole, ensure_ascii=chance.random() < 0.8).encode(errors="surrogatepass")
    return _flip(data, chance) if chance.random() < 0.3 else data


def tokenizer_model(seed: int) -> bytes:
    """A mutant of a tokenizer.model."""
    chance = random.Random(seed)
    data = chance.choice(_models())
    if chance.random() < 0.5:
        return _flip(data, chance)
    fields = [bytearray(each) for each in _fields(data)]
    for _ in range(chance.choice((1, 2, 5))):
        at, other = chance.randrange(len(fields)), chance.randrange(len(fields))
        # The settings stand at the end, behind hundreds of pieces.
        at = chance.choice((at, len(fields) - 1, len(fields) - 2))
        way = chance.randrange(5)
        if way == 0:
            fields[at] = bytearray(fields[other])
        elif way == 1:
            del fields[at]
        elif way == 2:
            fields[at][:] = _wrapped(_flip(bytes(fields[at][2:]), chance), fields[at][:1])
        elif way == 3:
            fields[at][:1] = bytes([chance.randrange(256)])
        else:
            text = chance.choice((b"", b"\xff", b"a" * 40_000, b"\0", "▁".encode(), b"<0x00>"))
            fields[at][:] = _wrapped(b"\x0a" + _varint(len(text)) + text, b"\x0a")
        if not fields:
            break
    return b"".join(bytes(each) for each in fields)


def _varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def _wrapped(data: bytes, key: bytes | bytearray) -> bytes:
    return bytes(key) + _varint(len(data)) + data


def _fields(data: bytes) -> Iterator[bytes]:
    """The fields of a message, whole."""
    at = 0
    while at < len(data):
        begin, size, shift = at, 0, 0
        at += 1
        while True:
            byte = data[at]
            size |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if byte < 128:
                break
        at += size if data[begin] & 7 == 2 else 0
        yield data[begin:at]
