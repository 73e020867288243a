"""Content that cannot be taken for a control token, whatever it says.

Control tokens are looked for in a document in which everything that a message said is hidden: each
letter of it is one stand-in, each other character another, so that what stands at the border of a
word still does. White space stays, since some control tokens take along what is beside them; its
places stay too, and so a control token that is found there is the template's own writing in every
character.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from itertools import chain

from gptcli.errors import ModelError

_WORD = re.compile(r"\w")
_SIGN = re.compile(r"[^\w\s]")
#: Runic letters, and the private use area: what no name of a token should have.
_LETTERS, _SIGNS = range(0x16A0, 0x16EB), range(0xE000, 0xF900)


def hidden(text: str, runs: Sequence[int], names: Collection[str]) -> str:
    """The text with stand-ins for what was said, as many characters as before.

    runs: how many characters are the template's, then how many were said, and so on in turn.
    names: of the control tokens, in which no stand-in occurs.
    """
    used = set(chain.from_iterable(names))
    letter, sign = _unused(_LETTERS, used), _unused(_SIGNS, used)
    pieces: list[str] = []
    at = 0
    for place, count in enumerate(runs):
        piece = text[at : at + count]
        pieces.append(_SIGN.sub(sign, _WORD.sub(letter, piece)) if place % 2 else piece)
        at += count
    return "".join(pieces)


def _unused(candidates: Iterable[int], used: Collection[str]) -> str:
    """A character that no name has. Raises ModelError where a tokenizer's names have them all."""
    found = next((chr(each) for each in candidates if chr(each) not in used), None)
    if found is None:
        raise ModelError("tokenizer", "has control tokens of too many characters")
    return found
