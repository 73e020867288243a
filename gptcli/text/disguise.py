"""Content that cannot be taken for a control token, whatever a template does with it.

Before a template sees a message, every character of it that occurs in the name of any control
token is replaced by a stand-in: a character of Unicode's private planes that occurs nowhere else.
In the document that comes out, a control token's name is then the template's own writing in every
letter. Afterwards the stand-ins become what they stood for; each is one character for one, so
places in the text stay what they were.

A template may look into content for strings that its logic mentions (`'</think>' in content`).
These are left as they are where no control token's name could overlap them, so that the logic
works as its authors meant it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from gptcli.errors import InputError

#: The private-use planes, without the code points that are no characters.
_PRIVATE = (range(0xF0000, 0xFFFFE), range(0x100000, 0x10FFFE))
#: Letters of names times constants that are compared; published templates need a tenth at most.
#: A template that mentions more is blinded to them, since comparing could go on without end.
_MOST = 20_000_000


class Disguise:
    """The stand-ins for one conversation."""

    def __init__(
        self,
        names: Collection[str],
        *,
        constants: Iterable[str] = (),
        others: Iterable[str] = (),
    ) -> None:
        """names: of all control tokens. constants: strings of the template's logic.

        others: every text in which no stand-in may occur by itself: contents and the template.
        """
        letters = sorted({c for name in names for c in name if not c.isspace()})
        used = {character for text in others for character in text if ord(character) >= 0xF0000}
        free = (chr(code) for plane in _PRIVATE for code in plane if chr(code) not in used)
        try:
            self._stand_in = {letter: next(free) for letter in letters}
        except StopIteration:
            raise InputError("conversation", "uses up all private characters") from None
        self._letter = str.maketrans({new: old for old, new in self._stand_in.items()})
        self._table = str.maketrans(self._stand_in)
        looked_at = list(constants)
        if len(looked_at) * sum(map(len, names)) > _MOST:
            looked_at = []
        plain = [text for text in looked_at if text and not _any_overlap(text, names)]
        # The longest first, so that one which begins with another is found whole.
        parts = map(re.escape, sorted(plain, key=len, reverse=True))
        self._plain = re.compile("|".join(parts)) if plain else None

    def put_on(self, content: str) -> str:
        """The content with stand-ins, as many characters as before."""
        return "".join(self._pieces(content))

    def take_off(self, document: str) -> str:
        """The document with what the stand-ins stood for, as many characters as before."""
        return document.translate(self._letter)

    def _pieces(self, content: str) -> Iterator[str]:
        end = 0
        for match in self._plain.finditer(content) if self._plain else ():
            yield content[end : match.start()].translate(self._table)
            yield match[0]
            end = match.end()
        yield content[end:].translate(self._table)


def _any_overlap(text: str, names: Collection[str]) -> bool:
    return any(overlap(text, name) for name in names)


def overlap(one: str, other: str) -> bool:
    """Whether there is a text in which both stand and have a character in common."""
    if one in other or other in one:
        return True
    shorter = range(1, min(len(one), len(other)))
    return any(one.endswith(other[:n]) or one.startswith(other[len(other) - n :]) for n in shorter)
