"""200 JSON schemas in the shapes of the JSON Schema test suite (draft 2020-12), keyword by keyword.

Each is what llguidance says it keeps to; what it does not is refused, which has tests of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, pairwise
from typing import Any

Schema = dict[str, Any]

_WORDS = ("name", "age", "city", "tags", "id", "size", "colour", "price")
_PATTERNS = ("^[a-z]{2,8}$", "^\\d{3}-\\d{4}$", "^(foo|bar)+$", "^a*b?$", "[A-Z][a-z]+", "^é|ü$")
_FORMATS = ("date", "time", "date-time", "uuid", "ipv4", "email", "hostname", "duration")
_LEAVES: tuple[Schema, ...] = (
    {"type": "string", "maxLength": 12},
    {"type": "integer", "minimum": 0, "maximum": 120},
    {"type": "boolean"},
    {"type": "null"},
    {"enum": ["red", "green", 3, None, [1], {"a": 1}]},
    {"const": "fixed"},
)


def _closed(properties: Schema, *required: str) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _numbers() -> Iterator[Schema]:
    for low, high in ((0, 9), (-5, 5), (10, 1000), (-1000, -100), (7, 7), (0, 1)):
        for kind in ("integer", "number"):
            yield {"type": kind, "minimum": low, "maximum": high}
            yield {"type": kind, "exclusiveMinimum": low - 1, "exclusiveMaximum": high + 1}
    for step in (2, 3, 5, 7, 10, 25, 100):
        yield {"type": "integer", "multipleOf": step, "minimum": 0, "maximum": 500}


def _texts() -> Iterator[Schema]:
    for low, high in ((0, 0), (1, 1), (2, 5), (0, 20)):
        yield {"type": "string", "minLength": low, "maxLength": high}
    for pattern in _PATTERNS:
        yield {"type": "string", "pattern": pattern, "maxLength": 24}
    for name in _FORMATS:
        yield {"type": "string", "format": name}
        yield _closed({"at": {"type": "string", "format": name}}, "at")


def _lists() -> Iterator[Schema]:
    for leaf in _LEAVES:
        for low, high in ((0, 3), (1, 2), (3, 3), (0, 1)):
            yield {"type": "array", "items": leaf, "minItems": low, "maxItems": high}
        yield {"type": "array", "prefixItems": [leaf, {"type": "boolean"}], "items": False}
        yield {"type": "array", "prefixItems": [leaf], "items": leaf, "maxItems": 3}


def _objects() -> Iterator[Schema]:
    for size in range(1, len(_WORDS) + 1):
        properties = {word: _LEAVES[i % len(_LEAVES)] for i, word in enumerate(_WORDS[:size])}
        yield _closed(properties, *properties)
        if size > 1:
            yield _closed(properties, *list(properties)[::2])
        yield _closed({word: _closed({"in": leaf}, "in") for word, leaf in properties.items()})
    for leaf in _LEAVES:
        yield {"type": "object", "additionalProperties": leaf, "maxProperties": 1}
        pattern = {"^x[0-9]$": leaf}
        yield {"type": "object", "patternProperties": pattern, "additionalProperties": False}


def _joined() -> Iterator[Schema]:
    for first in _LEAVES:
        for second in _LEAVES:
            if first is not second:
                yield {"anyOf": [first, second]}
    for first, second in pairwise(_LEAVES):
        yield {"allOf": [_closed({"a": first, "b": second}, "a"), {"required": ["b"]}]}
    yield {"oneOf": [{"type": "string", "maxLength": 3}, {"type": "integer"}]}
    yield {"type": ["string", "null", "boolean"], "maxLength": 9}
    yield {"allOf": [{"type": "integer"}, {"minimum": 3}, {"maximum": 99}]}


def _named() -> Iterator[Schema]:
    for leaf in _LEAVES:
        yield {"$defs": {"leaf": leaf}, "$ref": "#/$defs/leaf"}
        pair = _closed({"a": {"$ref": "#/$defs/l"}, "b": {"$ref": "#/$defs/l"}}, "a", "b")
        yield {"$defs": {"l": leaf}, **pair}
        tree = _closed({"value": leaf, "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}})
        yield tree | {"required": ["value", "next"]}
    for depth in (2, 3, 4, 5, 8):
        nested: Schema = {"type": "integer"}
        for _ in range(depth):
            nested = {"type": "array", "items": nested, "minItems": 1, "maxItems": 1}
        yield nested
    yield {"type": "object"}
    yield {"type": "array"}
    yield {}
    for value in (1, "a", None, True, [1, "b"], {"a": {"b": []}}, 'é\n"', 1.5, ""):
        yield {"const": value}


def schemas(count: int = 200) -> list[Schema]:
    """So many of them, always the same, some of each kind among the first."""
    kinds = [list(kind()) for kind in (_numbers, _texts, _lists, _objects, _joined, _named)]
    turns = (kind[at] for at in range(max(map(len, kinds))) for kind in kinds if at < len(kind))
    return list(islice(turns, count))
