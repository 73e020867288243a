"""What an option takes again and again, `NAME=VALUE` each, in a JSON file instead: an object."""

from __future__ import annotations

from pathlib import Path

from gptcli.errors import InputError, ModelError
from gptcli.formats import json as jsonfile


def words_in(path: Path) -> list[str]:
    """The pairs of the object in a file, as they would be given one by one.

    Raises InputError for what is no object of numbers; `-inf` may be a text, as JSON has no other.
    """
    try:
        found = jsonfile.read(path)
    except ModelError as error:
        raise InputError(str(path), error.reason) from None
    words = []
    for name, value in found.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number and value != "-inf":
            raise InputError(str(path), f"{name[:40]!r} must have a number, or -inf as a text")
        words.append(f"{name}={value}")
    return words
