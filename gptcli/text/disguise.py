"""Content that cannot be taken for a control token, whatever it says.

Control tokens are looked for in a document in which everything that a message said is hidden: each
letter of it is one stand-in, each other character another, so that what stands at the border of a
word still does. White space stays, since some control tokens take along what is beside them; its
places stay too, and so a control token that is found there is the template's own writing in every
character.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import accumulate, chain

from gptcli.errors import ModelError

_WORDS = re.compile(r"\w+")
_SIGNS = re.compile(r"[^\w\s]+")
#: Runic letters, and the private use area: what no name of a token should have.
_FOR_WORDS, _FOR_SIGNS = range(0x16A0, 0x16EB), range(0xE000, 0xF900)


def hidden(text: str, runs: Sequence[int], names: Collection[str]) -> str:
    """The text with stand-ins for what was said, as many characters as before.

    runs: how many characters are the template's, then how many were said, and so on in turn.
    names: of the control tokens, in which no stand-in occurs.
    """
    used = set(chain.from_iterable(names))
    letter, sign = _unused(_FOR_WORDS, used), _unused(_FOR_SIGNS, used)
    pieces: list[str] = []
    for start, end, said in _stretches(runs):
        piece = text[start:end]
        if said:
            piece = _WORDS.sub(lambda found: letter * len(found[0]), piece)
            piece = _SIGNS.sub(lambda found: sign * len(found[0]), piece)
        pieces.append(piece)
    return "".join(pieces)


class Brief:
    """A hidden text less the middle of all that was said, in which nothing can be found.

    To look for control tokens in what was said would take as long as to cut it. White space beside
    what a template wrote is kept, and the character after it.
    """

    def __init__(self, written: str, runs: Sequence[int]) -> None:
        """written: as `hidden` gives it."""
        kept: list[tuple[int, int]] = []
        for start, end, said in _stretches(runs):
            piece = written[start:end]
            head = len(piece) - len(piece.lstrip()) + 1
            tail = len(piece.rstrip()) - 1
            if said and head < tail:
                kept += [(start, start + head), (start + tail, end)]
            else:
                kept.append((start, end))
        self.text = "".join(written[start:end] for start, end in kept)
        self._starts = [start for start, _ in kept]
        sizes = (end - start for start, end in kept)
        self._here = [0, *accumulate(sizes)][:-1]

    def place(self, at: int) -> int:
        """Where a character of `text` is in the whole."""
        piece = bisect_right(self._here, at) - 1
        return self._starts[piece] + at - self._here[piece]


def _stretches(runs: Sequence[int]) -> Iterator[tuple[int, int, bool]]:
    """(start, end, whether it was said) of each run that is not empty."""
    at = 0
    for place, count in enumerate(runs):
        if count:
            yield at, at + count, bool(place % 2)
        at += count


def _unused(candidates: Iterable[int], used: Collection[str]) -> str:
    """A character that no name has. Raises ModelError where a tokenizer's names have them all."""
    found = next((chr(each) for each in candidates if chr(each) not in used), None)
    if found is None:
        raise ModelError("tokenizer", "has control tokens of too many characters")
    return found
