"""What a request wants continued or embedded: texts or ids, one or several."""

from __future__ import annotations

from typing import Any

from gptcli.formats.openai.fields import Fields

#: How many a request may hold.
PROMPTS = 128

Prompt = str | tuple[int, ...]


def prompts(fields: Fields, name: str) -> list[Prompt]:
    """Take them. Raises FieldError."""
    given: Any = fields.take(name)
    if isinstance(given, str):
        return [given]
    if _ids(given):
        return [tuple(given)]
    if not isinstance(given, list) or not 0 < len(given) <= PROMPTS:
        wanted = f"must be a text, a list of ids, or a list of 1 to {PROMPTS} of these"
        raise fields.invalid(name, wanted)
    if not all(isinstance(each, str) or _ids(each) for each in given):
        raise fields.invalid(name, "must hold texts, or lists of ids from 0 on, none empty")
    return [each if isinstance(each, str) else tuple(each) for each in given]


def _ids(given: Any) -> bool:
    """Whether it is a list of ids, as far as that can be told without a tokenizer."""
    return (
        isinstance(given, list)
        and bool(given)
        and all(type(each) is int and 0 <= each < 2**31 for each in given)
    )
