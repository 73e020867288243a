"""GGUF files as lists of fields and tensors, which can be changed one by one and written again."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.faults import mutations

_FORMS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
#: Lengths and counts that a file cannot hold, or could only by being sparse.
COUNTS = [0, 1, 2, 2**16, 2**24, 2**31, 2**32 - 1, 2**61, 2**63, 2**64 - 1]


@dataclass(frozen=True)
class Field:
    """A key, a type's number, and the value; of an array (type of items, items).

    count: what it says of its length, None for the truth.
    """

    key: bytes
    code: int
    value: Any
    count: int | None = None


@dataclass(frozen=True)
class Tensor:
    """dims: innermost first; data: its bytes; offset: where it says that they begin."""

    name: bytes
    dims: tuple[int, ...]
    code: int
    data: bytes
    offset: int | None = None


@dataclass
class File:
    """What a file says."""

    fields: list[Field]
    tensors: list[Tensor]
    version: int = 3
    magic: bytes = b"GGUF"
    counts: tuple[int | None, int | None] = (None, None)
    padding: int = 32
    extra: bytes = field(default=b"")

    def bytes(self) -> bytes:
        """The file."""
        tensors, fields = self.counts
        out = self.magic + struct.pack(
            "<IQQ",
            self.version,
            len(self.tensors) if tensors is None else tensors,
            len(self.fields) if fields is None else fields,
        )
        for each in self.fields:
            out += _text(each.key) + struct.pack("<I", each.code) + _value(each)
        data = b""
        for tensor in self.tensors:
            offset = len(data) if tensor.offset is None else tensor.offset
            out += _text(tensor.name) + struct.pack("<I", len(tensor.dims))
            out += b"".join(struct.pack("<Q", size) for size in tensor.dims)
            out += struct.pack("<IQ", tensor.code, offset)
            data += tensor.data + b"\0" * (-len(tensor.data) % self.padding)
        return out + b"\0" * (-len(out) % self.padding) + data + self.extra


def _text(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def _value(each: Field) -> bytes:
    if each.code == STRING:
        length = len(each.value) if each.count is None else each.count
        return struct.pack("<Q", length) + bytes(each.value)
    if each.code == ARRAY:
        code, items = each.value
        length = len(items) if each.count is None else each.count
        return struct.pack("<IQ", code, length) + b"".join(_item(code, item) for item in items)
    return _item(each.code, each.value)


def _item(code: int, item: Any) -> bytes:
    if code == STRING:
        return _text(item)
    if code not in _FORMS:
        return item if isinstance(item, bytes) else b""
    form = _FORMS[code]
    if form in "fd":
        return struct.pack(f"<{form}", float(item))
    size = struct.calcsize(form)
    return (int(item) & (256**size - 1)).to_bytes(size, "little")


def mutant(rng: random.Random, file: File) -> bytes:
    """The file with one to three changes of what it says, or of its bytes."""
    if rng.random() < 0.1:
        return mutations.data(rng, file.bytes())
    changed = replace(file, fields=list(file.fields), tensors=list(file.tensors))
    for _ in range(rng.choice([1, 1, 2, 3])):
        rng.choice(_CHANGES)(rng, changed)
    whole = changed.bytes()
    return mutations.data(rng, whole) if rng.random() < 0.05 else whole


def _number(rng: random.Random) -> float:
    return rng.choice([0, 1, 2, 3, -1, 2**24, 2**31, 2**32 - 1, 0.5, float("nan"), float("inf")])


def _whole(rng: random.Random, file: File) -> None:
    kind = rng.randrange(5)
    if kind == 0:
        file.version = rng.choice([0, 1, 2, 4, 2**32 - 1])
    elif kind == 1:
        file.counts = rng.choice([None, *COUNTS]), rng.choice([None, *COUNTS])
    elif kind == 2:
        file.padding = rng.choice([1, 8, 33, 64])
    elif kind == 3:
        file.magic = rng.choice([b"GGUF", b"GGJT", b"FUGG", b"PK\3\4"])
    else:
        file.extra = rng.randbytes(rng.randint(1, 99))


def _one_field(rng: random.Random, file: File) -> None:
    at = rng.randrange(len(file.fields))
    each, kind = file.fields[at], rng.random()
    if kind < 0.1:
        del file.fields[at]
        if not file.fields:
            file.fields.append(each)
    elif kind < 0.15:
        file.fields.append(each)
    elif kind < 0.25:
        file.fields[at] = replace(
            each, key=rng.choice([b"", b"\xff", each.key + b"x", each.key * 9])
        )
    elif kind < 0.4 and each.code in (STRING, ARRAY):
        file.fields[at] = replace(each, count=rng.choice(COUNTS))
    elif kind < 0.5:
        code = rng.choice([*_FORMS, 13, 2**32 - 1])
        held = 0 if code in _FORMS else b""
        file.fields[at] = Field(
            each.key, code, held if code not in _FORMS else _number_in(rng, code)
        )
    elif each.code == ARRAY:
        file.fields[at] = replace(each, value=_array(rng, *each.value))
    elif each.code == STRING:
        texts = [b"", b"\xff\xfe", b"\x1b[2J", each.value + b"x", b"x" * 5000, b"linear", b"yarn"]
        file.fields[at] = replace(each, value=rng.choice(texts))
    else:
        file.fields[at] = replace(each, value=_number_in(rng, each.code))


def _number_in(rng: random.Random, code: int) -> float:
    found = _number(rng)
    return found if code in (6, 12) or (found == found and abs(found) != float("inf")) else 7


def _array(rng: random.Random, code: int, items: list[Any]) -> tuple[int, list[Any]]:
    kind, changed = rng.randrange(6), list(items)
    if kind == 0 or not changed:
        return code, changed * 2
    at = rng.randrange(len(changed))
    if kind == 1:
        del changed[at:]
    elif kind == 2:
        changed[at] = changed[rng.randrange(len(changed))]
    elif kind == 3:
        return ARRAY, [struct.pack("<IQ", ARRAY, 1) * rng.randint(1, 9)]
    elif code == STRING:
        changed[at] = rng.choice([b"", b"a", b"a b c", b"\xff", b"x" * 3000, b"\xf0\x9f\x99\x82"])
    else:
        changed[at] = _number_in(rng, code)
    return code, changed


def _new_field(rng: random.Random, file: File) -> None:
    key, code, values = rng.choice(_NEW)
    file.fields.append(Field(key, code, rng.choice(values)))


def _one_tensor(rng: random.Random, file: File) -> None:
    at = rng.randrange(len(file.tensors))
    each, kind = file.tensors[at], rng.randrange(8)
    if kind == 0 and len(file.tensors) > 1:
        del file.tensors[at]
    elif kind == 1:
        file.tensors[at] = replace(each, code=rng.choice([0, 1, 2, 3, 8, 14, 24, 30, 39, 40, 99]))
    elif kind == 2:
        sizes = [*COUNTS, 3, 16, 32, 64]
        dims = tuple(rng.choice(sizes) for _ in range(rng.choice([0, 1, 2, 2, 3, 4, 5])))
        file.tensors[at] = replace(each, dims=dims)
    elif kind == 3:
        file.tensors[at] = replace(each, offset=rng.choice([*COUNTS, 32, 64, 33]))
    elif kind == 4:
        other = rng.choice(file.tensors)
        file.tensors[at] = replace(each, name=rng.choice([b"", b"\xff", other.name, b"x" * 300]))
    elif kind == 5:
        file.tensors.append(replace(each, name=each.name + b"x"))
    elif kind == 6:
        file.tensors[at] = replace(each, data=mutations.data(rng, each.data))
    else:
        file.tensors[at] = replace(each, dims=each.dims[::-1])


_CHANGES: list[Callable[[random.Random, File], None]] = [_whole, _one_field, _one_field, _one_field]
_CHANGES += [_one_tensor, _one_tensor, _new_field]
_NEW: list[tuple[bytes, int, list[Any]]] = [
    (b"general.alignment", 4, [0, 1, 3, 32, 2**31]),
    (b"general.sampling.temp", 6, [0.5, float("nan"), -1.0, float("inf")]),
    (b"general.sampling.top_k", 5, [-1, 2**31 - 1]),
    (b"general.type", STRING, [b"adapter", b"", b"model"]),
    (b"general.new", 4, [1, 0]),
    (b"split.count", 2, [0, 1, 2, 65535]),
    (b"llama.rope.scaling.type", STRING, [b"linear", b"yarn", b"none", b"longrope", b"x"]),
    (b"llama.rope.scaling.factor", 6, [0.0, 1.0, 1e38, float("nan"), -2.0]),
    (b"llama.rope.scaling.original_context_length", 4, [0, 1, 2**32 - 1]),
    (b"llama.expert_count", 4, [0, 1, 4096, 2**32 - 1]),
    (b"llama.expert_used_count", 4, [0, 1, 2**32 - 1]),
    (b"llama.attention.key_length", 4, [0, 1, 2, 2**24]),
    (b"llama.attention.sliding_window", 4, [0, 1, 2**32 - 1]),
    (b"llama.attention.causal", 7, [0, 1, 2]),
    (b"tokenizer.ggml.eos_token_ids", ARRAY, [(5, [0, 1]), (5, [-1]), (STRING, [b"a"])]),
    (b"tokenizer.ggml.suppress_tokens", ARRAY, [(5, [0, -1, 2**31 - 1]), (6, [0.5])]),
    (b"tokenizer.ggml.padding_token_id", 4, [0, 2**32 - 1, 2**31]),
    (b"tokenizer.chat_template", STRING, [b"{{ x }}", b"{% for", b"\xff"]),
    (b"tokenizer.ggml.add_bos_token", 7, [0, 1]),
]  # fmt: skip
