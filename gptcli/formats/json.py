"""JSON from files nobody vouches for: bounded in size, and only objects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gptcli.errors import ModelError
from gptcli.formats import files

CONFIG_LIMIT = 4 << 20
INDEX_LIMIT = 32 << 20
TOKENIZER_LIMIT = 256 << 20


def parse(text: bytes, subject: str) -> dict[str, Any]:
    """The JSON object in `text`. Raises ModelError for anything else, repeated keys included."""
    try:
        found = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ModelError(subject, f"is not valid JSON: {error}") from None
    if not isinstance(found, dict):
        raise ModelError(subject, "is not a JSON object")
    return found


def read(path: Path, limit: int = CONFIG_LIMIT) -> dict[str, Any]:
    """The JSON object in the file. Raises ModelError, also where it has more than `limit` bytes."""
    files.refuse_special(path)
    try:
        with path.open("rb") as file:
            text = file.read(limit + 1)
    except OSError as error:
        raise ModelError(str(path), f"cannot be read: {error.strerror}") from None
    if len(text) > limit:
        raise ModelError(str(path), f"is larger than {limit >> 20} MiB")
    return parse(text, str(path))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key appears twice")
    return found
