"""Unigram segmentation on tables: the pieces of a word whose scores have the largest sum.

As in the tokenizers library, in the order in which it adds up: Viterbi from left to right, the
first of equals, a letter that no piece spells is unknown, and neighbours that are unknown are one
(Kudo, https://arxiv.org/abs/1804.10959).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

from gptcli.text.kept.form import Form
from gptcli.text.kept.remembering import remember
from gptcli.text.kept.spellings import Spellings

#: How SentencePiece calls each byte.
BYTE_NAMES = tuple(f"<0x{byte:02X}>" for byte in range(256))
#: How much worse an unknown letter is than the worst piece.
_PENALTY = 10.0
#: Beginnings of pieces, and words, that are remembered at most.
_BEGINNINGS, _WORDS = 1 << 15, 1 << 12
#: Bytes of a word that is remembered.
_LONGEST = 64


class Unigram:
    """Words are UTF-8, places in them are bytes."""

    def __init__(self, form: Form, spellings: Spellings) -> None:
        self._spellings = spellings
        self._scores = form.floats("scores")
        self._unknown: int = form.facts["unknown"]
        self._worst = form.facts["worst"] - _PENALTY
        self._bytes: list[int] | None = form.facts["bytes"]
        self._known: dict[bytes, tuple[int, int, int | None]] = {b"": (0, spellings.size, None)}
        self._words: dict[bytes, list[tuple[int, int, int]]] = {}

    def pieces(self, word: bytes) -> list[tuple[int, int, int]]:
        """(id, start, end) of each; bytes that stand for an unknown letter have one place."""
        found = self._words.get(word)
        if found is None:
            found = [each for part in self._cut(word) for each in self._told(word, *part)]
            if len(word) <= _LONGEST:
                remember(self._words, word, found, _WORDS)
        return found

    def _cut(self, word: bytes) -> list[tuple[int, int]]:
        """(start, end) of each piece, and of each run of unknown letters."""
        size = len(word)
        scores, begins, unknown = [0.0] * (size + 1), [-1] * (size + 1), [False] * (size + 1)
        at = 0
        while at < size:
            here, letter = scores[at], at + _length(word[at])
            alone = False
            for end, token in self._beginning(word, at):
                score = self._scores[token] + here
                if begins[end] < 0 or score > scores[end]:
                    scores[end], begins[end], unknown[end] = score, at, token == self._unknown
                alone = alone or end == letter
            score = self._worst + here
            if not alone and (begins[letter] < 0 or score > scores[letter]):
                scores[letter], begins[letter], unknown[letter] = score, at, True
            at = letter
        parts: list[tuple[int, int]] = []
        end, fused = size, False
        while end > 0:
            start = begins[end]
            if unknown[end] and fused:
                parts[-1] = (start, parts[-1][1])
            else:
                parts.append((start, end))
            end, fused = start, unknown[end]
        return parts[::-1]

    def _told(self, word: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """The tokens of a part; a run of unknown letters may be spelt by a piece after all."""
        text = word[start:end]
        token = self._beginning_with(text)[2]
        if token is not None:
            yield token, start, end
        elif self._bytes is not None:
            for byte in text:
                yield self._bytes[byte], start, end
        else:
            yield self._unknown, start, end

    def _beginning(self, word: bytes, at: int) -> Iterator[tuple[int, int]]:
        """(end, id) of each piece that stands at a place of a word, the shortest first."""
        end = at
        while end < len(word):
            end += _length(word[end])
            first, last, token = self._beginning_with(word[at:end])
            if token is not None:
                yield end, token
            if first == last:
                return

    def _beginning_with(self, text: bytes) -> tuple[int, int, int | None]:
        """Where the pieces stand that begin with a text, and the one that is that text."""
        found = self._known.get(text)
        if found is not None:
            return found
        # What begins with the text less its last letter is known where letters come one by one.
        shorter = self._known.get(text[: _last(text)], (0, self._spellings.size, None))
        first, last = self._spellings.beginning(text, shorter[0], shorter[1])
        token = None
        if first < last:
            number, spelling = self._spellings.placed(first)
            token = number if spelling == text else None
        found = first, last, token
        if len(self._known) >= _BEGINNINGS:
            self._known = {b"": self._known[b""]}
        self._known[text] = found
        return found


def _length(byte: int) -> int:
    """Bytes of the UTF-8 letter that a byte begins."""
    return 1 + (byte >= 0xC0) + (byte >= 0xE0) + (byte >= 0xF0)


def _last(text: bytes) -> int:
    """Where the last letter of a text begins."""
    at = len(text) - 1
    while text[at] & 0xC0 == 0x80:
        at -= 1
    return at


def tables(scores: Iterable[float]) -> dict[str, bytes]:
    """The table of scores by id."""
    return {"scores": array("d", scores).tobytes()}
