"""A line of JSON that should be an object with texts in it."""

from __future__ import annotations

import json
from typing import Any

from gptcli.errors import InputError


def parse_object(line: str, subject: str) -> dict[str, Any]:
    """The object on a line. Raises InputError, which names `subject`, for anything else."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(subject, f"is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InputError(subject, "is not a JSON object")
    return value


def text_of(value: dict[str, Any], key: str, subject: str, default: str | None = None) -> str:
    """The text under a key. Raises InputError where there is none, or half a character in it."""
    found = value.get(key, default)
    if not isinstance(found, str):
        raise InputError(subject, f'has no "{key}" that is a text')
    try:
        found.encode()
    except UnicodeEncodeError:
        raise InputError(subject, f'"{key}" holds half of a surrogate pair') from None
    return found
