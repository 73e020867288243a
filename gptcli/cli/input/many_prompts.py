"""Many prompts from one input: a line each, or a JSON object each.

Both come as they are asked for, so that a bad line takes nothing from those before it.
"""

from __future__ import annotations

from collections.abc import Iterator

from gptcli.cli.input.json_lines import parse_object, text_of
from gptcli.errors import InputError


def lines(text: str, subject: str) -> Iterator[tuple[str, str]]:
    """(what to call it in an error, prompt) of each line. Raises InputError for an empty line."""
    for name, line in _numbered(text, subject):
        if not line:
            raise InputError(name, "is empty")
        yield name, line


def objects(text: str, subject: str) -> Iterator[tuple[str, str]]:
    """As `lines`, where each line is a JSON object that holds the prompt as `prompt`.

    Empty lines are passed over. Raises InputError for a line that is no such object, and for a
    prompt that is empty.
    """
    for name, line in _numbered(text, subject):
        if not line.strip():
            continue
        prompt = text_of(parse_object(line, name), "prompt", name)
        if not prompt:
            raise InputError(name, "is empty")
        yield name, prompt


def _numbered(text: str, subject: str) -> Iterator[tuple[str, str]]:
    # Not splitlines: other separators may stand in a prompt.
    for number, piece in enumerate(text.removesuffix("\n").split("\n"), 1):
        yield f"{subject}: line {number}", piece.removesuffix("\r")
