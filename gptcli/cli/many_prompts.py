"""Many prompts from one input: a line each, or a JSON object each."""

from __future__ import annotations

import json

from gptcli.errors import InputError


def lines(text: str, subject: str) -> list[tuple[str, str]]:
    """(what to call it in an error, prompt) of each line. Raises InputError for an empty line."""
    found = []
    for name, line in _numbered(text, subject):
        if not line:
            raise InputError(name, "is empty")
        found.append((name, line))
    return found


def objects(text: str, subject: str) -> list[tuple[str, str]]:
    """As `lines`, where each line is a JSON object that holds the prompt as `prompt`.

    Raises InputError for a line that is none, and for a prompt that is no text or empty.
    """
    found = []
    for name, line in _numbered(text, subject):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(name, f"is not JSON: {error}") from None
        prompt = value.get("prompt") if isinstance(value, dict) else None
        if not isinstance(prompt, str):
            raise InputError(name, 'is not an object with a text "prompt"')
        try:
            prompt.encode()
        except UnicodeEncodeError:
            raise InputError(name, "has half of a surrogate pair") from None
        if not prompt:
            raise InputError(name, "is empty")
        found.append((name, prompt))
    return found


def _numbered(text: str, subject: str) -> list[tuple[str, str]]:
    # Not splitlines: other separators may stand in a prompt.
    pieces = text.split("\n")
    return [
        (f"{subject}, line {number}", piece.removesuffix("\r"))
        for number, piece in enumerate(pieces, 1)
    ]
