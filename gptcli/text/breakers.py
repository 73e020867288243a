"""Sequence breakers of DRY: texts as the tokens that they may stand in.

As llama.cpp finds them: a token that holds the text breaks by itself; one that ends with the text's
beginning does with those that spell the rest behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

#: (the token in which it begins, the tokens behind that which end it), each once.
Breaks = tuple[tuple[int, tuple[int, ...]], ...]
#: Bytes of a text, and tokens of its rest, that are looked at.
_LONGEST, _MOST_TOKENS = 40, 20


class Cuts(Protocol):
    """What a tokenizer is asked here."""

    def encode(self, text: str, *, inside: bool = False) -> list[int]:
        """A text's tokens; inside: of one that stands behind another."""
        ...

    def bytes_of(self, token: int) -> bytes:
        """What a token is written as."""
        ...


def breaks(tokenizer: Cuts, texts: Sequence[str], vocab: int) -> Breaks:
    """Where the texts may begin, among the first `vocab` tokens."""
    found: dict[tuple[int, tuple[int, ...]], None] = {}
    wanted = [text.encode()[:_LONGEST] for text in texts]
    tails = {text: _tails(tokenizer, text) for text in wanted}
    for token in range(vocab):
        word = tokenizer.bytes_of(token)
        for text in wanted:
            if text in word:
                found[token, ()] = None
                continue
            for size, tail in tails[text]:
                if word.endswith(text[:size]):
                    found[token, tail] = None
    return tuple(found)


def _tails(tokenizer: Cuts, text: bytes) -> list[tuple[int, tuple[int, ...]]]:
    """How many bytes of its beginning may end a token, and the tokens of the rest."""
    found = []
    for size in range(1, len(text)):
        try:
            rest = text[size:].decode()
        except UnicodeDecodeError:
            continue  # no text begins within a character
        found.append((size, tuple(tokenizer.encode(rest, inside=True)[:_MOST_TOKENS])))
    return found
