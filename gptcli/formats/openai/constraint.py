"""What a body wants its answers to be: response_format, and the fields that other servers have.

- response_format: {"type": "json_object"}, or {"type": "json_schema", "json_schema": {"schema": …}}
- json_schema: the schema itself, and grammar: GBNF, or Lark; of llama-server
- guided_json, guided_regex, guided_choice, guided_grammar: of vLLM, as it was
- structured_outputs: {"json" | "regex" | "choice" | "grammar" | "json_object": …}: of vLLM
- regex, one_of, json_object: as our flags are called; repair: an answer that is cut off is closed
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from gptcli.formats.openai.fields import Fields
from gptcli.types.constraints import Constraint

#: Choices, and characters of each.
_CHOICES, _LONGEST = 10_000, 10_000
#: All fields by which a form can be said.
FORMS = (
    *("response_format", "json_schema", "grammar", "structured_outputs", "repair"),
    *("guided_json", "guided_regex", "guided_choice", "guided_grammar"),
    *("regex", "one_of", "json_object"),
)
#: Of vLLM's settings, what is as good as not said.
_VLLM_ONLY = (
    *("guided_decoding_backend", "guided_whitespace_pattern"),
    *("disable_fallback", "disable_any_whitespace"),
)


def constraint(fields: Fields, default: Constraint | None) -> Constraint | None:
    """Take them; `default` where none is said. Raises FieldError, also for two of them."""
    found = [each for each in (_format(fields), *_others(fields)) if each is not None]
    inner = fields.object("structured_outputs")
    found += [each for each in _structured(inner) if each is not None]
    inner.done()
    repair = fields.flag("repair", default is not None and default.repair)
    if len(found) > 1:
        names = ", ".join(name for name, _ in found)
        raise fields.invalid(found[1][0], f"is one form beside another: one of {names}")
    if found:
        return replace(found[0][1], repair=repair)
    return None if default is None else replace(default, repair=repair)


#: The field, and what it wants.
_Found = tuple[str, Constraint] | None


def _format(fields: Fields) -> _Found:
    given = fields.object("response_format")
    kind = given.word("type", ("text", "json_object", "json_schema"))
    told = given.take("json_schema") if kind == "json_schema" else None
    # Of some servers: the schema beside the type.
    beside = given.take("schema")
    given.done()
    if kind == "text":
        return None
    if kind == "json_object" and beside is None:
        return "response_format", Constraint("json-object")
    schema = beside
    if isinstance(told, dict):
        inner = given.within(told, "json_schema")
        schema = inner.take("schema")
        for name in ("name", "description", "strict"):
            inner.take(name)
        inner.done()
    if not isinstance(schema, dict | bool):
        raise fields.invalid("response_format", "has no schema that is an object")
    return "response_format", _schema(schema)


def _others(fields: Fields) -> list[_Found]:
    for name in _VLLM_ONLY:
        fields.take(name)
    return [
        _regex(fields, "regex"),
        _choice(fields, "one_of"),
        _object(fields, "json_object"),
        _json(fields, "json_schema", empty=({},)),
        _grammar(fields, "grammar"),
        _json(fields, "guided_json"),
        _regex(fields, "guided_regex"),
        _choice(fields, "guided_choice"),
        _grammar(fields, "guided_grammar"),
    ]


def _structured(inner: Fields) -> list[_Found]:
    for name in ("backend", "whitespace_pattern", "disable_fallback", "disable_any_whitespace"):
        inner.take(name)
    found = [
        _object(inner, "json_object"),
        _json(inner, "json"),
        _regex(inner, "regex"),
        _choice(inner, "choice"),
        _grammar(inner, "grammar"),
    ]
    return [None if each is None else (f"structured_outputs.{each[0]}", each[1]) for each in found]


def _object(fields: Fields, name: str) -> _Found:
    return (name, Constraint("json-object")) if fields.flag(name) else None


def _json(fields: Fields, name: str, empty: tuple[Any, ...] = ()) -> _Found:
    value = fields.take(name)
    if value is None or value in empty:
        return None
    if isinstance(value, str):
        return name, Constraint("json-schema", value)
    if not isinstance(value, dict | bool):
        raise fields.invalid(name, "must be a schema")
    return name, _schema(value)


def _schema(value: Any) -> Constraint:
    return Constraint("json-schema", json.dumps(value, ensure_ascii=False))


def _regex(fields: Fields, name: str) -> _Found:
    text = fields.text(name)
    return None if text is None else (name, Constraint("regex", text))


def _grammar(fields: Fields, name: str) -> _Found:
    text = fields.text(name)
    return (name, Constraint("grammar", text)) if text else None


def _choice(fields: Fields, name: str) -> _Found:
    texts = fields.texts(name, _CHOICES, _LONGEST)
    if not texts:
        return None
    if len(set(texts)) < len(texts):
        raise fields.invalid(name, "has a text twice")
    return name, Constraint("one-of", choices=texts)
