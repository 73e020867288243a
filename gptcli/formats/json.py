"""JSON from files nobody vouches for: bounded in size and in what it makes, and only objects."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from gptcli.errors import ModelError
from gptcli.formats import files

CONFIG_LIMIT = 4 << 20
INDEX_LIMIT = 32 << 20
TOKENIZER_LIMIT = 256 << 20
#: What a text may make, however small it is: lists and objects, each of which takes a hundred
#: bytes for two of the text, and values. The largest tokenizers have half a million of the former.
_HOLDERS, _VALUES = 1 << 20, 1 << 22
#: Long whole numbers take time with the square of their digits: none fills a block of so many.
_BLOCK = 500
#: Halves of a pair that is one character: by itself such a half can be neither written nor told.
_HALVES = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")
_TOO_LONG = "is not valid JSON: a number has too many digits"


class _RepeatedKeyError(ValueError):
    """Which of the two holds is for nobody to say."""


def parse(text: bytes, subject: str) -> dict[str, Any]:
    """The JSON object in `text`. Raises ModelError for anything else, repeated keys included.

    Of more than a million lists and objects nothing is read, nor of more than four million values.
    """
    # Those in texts are counted as well: real ones have far fewer of either.
    if text.count(b"[") + text.count(b"{") > _HOLDERS or text.count(b",") > _VALUES:
        raise ModelError(subject, "is not read: it holds more values than any model needs")
    if any(text[at : at + _BLOCK].isdigit() for at in range(0, len(text) - _BLOCK + 1, _BLOCK)):
        raise ModelError(subject, _TOO_LONG)
    try:
        found = json.loads(text, object_pairs_hook=_unique)
    except RecursionError:
        raise ModelError(subject, "is not valid JSON: it is nested too deeply") from None
    except (json.JSONDecodeError, UnicodeDecodeError, _RepeatedKeyError) as error:
        raise ModelError(subject, f"is not valid JSON: {error}") from None
    except ValueError:
        # The interpreter's own limit, of which it speaks to programmers.
        raise ModelError(subject, _TOO_LONG) from None
    if not isinstance(found, dict):
        raise ModelError(subject, "is not a JSON object")
    if _HALVES.search(text):
        try:
            json.dumps(found, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ModelError(subject, "is not valid JSON: half a character in a text") from None
    return found


def read(path: Path, limit: int = CONFIG_LIMIT) -> dict[str, Any]:
    """The JSON object in the file. Raises ModelError, also where it has more than `limit` bytes."""
    return parse(files.read(path, limit), str(path))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _RepeatedKeyError("a key appears twice")
    return found
