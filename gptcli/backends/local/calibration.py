"""The text by which columns are weighed when weights are rounded: a file → pieces, as ids."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import TYPE_CHECKING

from gptcli.errors import InputError, not_utf8

if TYPE_CHECKING:
    from gptcli.engine.model.spec import ModelSpec
    from gptcli.text.tokenizer import Tokenizer

#: Tokens that are read at the most and at the least, and how long a piece is.
MOST, LEAST, PIECE = 8192, 128, 512
#: Bytes of a file that are looked at.
_BYTES = 1 << 18


def pieces(file: Path, tokenizer: Tokenizer, spec: ModelSpec) -> tuple[tuple[int, ...], ...]:
    """The first tokens of a text, cut into pieces that begin as documents of the model do.

    Raises InputError for a file that cannot be read, is no text in UTF-8, or is too short.
    """
    ids = tokenizer.encode(_beginning(file))[:MOST]
    if len(ids) < LEAST:
        reason = f"is too short to weigh columns by: {len(ids)} tokens, of which {LEAST} are needed"
        raise InputError(str(file), reason)
    if max(ids) >= spec.vocab:
        raise InputError(str(file), f"has token {max(ids)}, for which the model has no embedding")
    begin = tuple(tokenizer.prefix)[: spec.context - 1]
    length = min(PIECE, spec.context) - len(begin)
    starts = range(0, len(ids), length)
    return tuple((*begin, *ids[at : at + length]) for at in starts)


def _beginning(file: Path) -> str:
    """What the first bytes of a file say; a character that they cut is left out."""
    try:
        with file.expanduser().open("rb") as opened:
            data = opened.read(_BYTES + 1)
    except (OSError, RuntimeError) as error:
        raise InputError(str(file), getattr(error, "strerror", None) or str(error)) from None
    whole = len(data) <= _BYTES
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(data[:_BYTES], final=whole)
    except UnicodeDecodeError as error:
        raise InputError(str(file), not_utf8(error)) from None
