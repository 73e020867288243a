"""Which texts are like another: the cosine of TF-IDF weights of three-letter pieces."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Sequence

_SIZE = 3


class Similarity:
    """Some texts, to be compared with others; case and compatible forms do not matter."""

    def __init__(self, texts: Sequence[str]) -> None:
        counts = [_pieces(text) for text in texts]
        seen = Counter(piece for count in counts for piece in count)
        self._rarity = {piece: math.log(1 + len(texts) / n) for piece, n in seen.items()}
        self._vectors = [self._weighted(count) for count in counts]

    def order(self, query: str) -> list[int]:
        """The places of all texts, the likest first; of equals the one given first."""
        vector = self._weighted(_pieces(query))
        likeness = [_dot(vector, other) for other in self._vectors]
        return sorted(range(len(likeness)), key=lambda place: -likeness[place])

    def pick(self, query: str, count: int) -> list[int]:
        """The `count` likest, the likest of them last: next to the query in a prompt."""
        return self.order(query)[:count][::-1]

    def _weighted(self, count: Counter[str]) -> dict[str, float]:
        """TF-IDF of length 1. Pieces that no text has would change no order."""
        found = {p: n * self._rarity[p] for p, n in count.items() if p in self._rarity}
        size = math.sqrt(sum(value * value for value in found.values()))
        return {piece: value / size for piece, value in found.items()} if size else {}


def _pieces(text: str) -> Counter[str]:
    plain = f" {unicodedata.normalize('NFKC', text).casefold()} "
    return Counter(plain[i : i + _SIZE] for i in range(max(len(plain) - _SIZE + 1, 1)))


def _dot(one: dict[str, float], other: dict[str, float]) -> float:
    return sum(value * other.get(piece, 0.0) for piece, value in one.items())
