"""Token healing: taking back the end of a prompt that stops within a token, and drawing it anew.

A prompt that ends in "Fran" is cut into tokens that the model hardly ever saw before "ce", which
it knows as " France". So the last tokens are dropped, and what is drawn instead must spell their
text before it goes on. After guidance's token healing (Lundberg, "The Art of Prompt Design: Prompt
Boundaries and Token Healing", 2023).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

#: How many tokens at the end of a prompt are looked at.
LAST_TOKENS = 8


class TokenIndex:
    """Tokens by their bytes, sorted once. Two tokens may have the same bytes."""

    def __init__(self, tokens: Iterable[tuple[int, bytes]]) -> None:
        """Take (id, bytes) of every token that may be drawn; those without bytes are left out."""
        pairs = sorted((data, token) for token, data in tokens if data)
        self._bytes = [data for data, _ in pairs]
        self._ids = [token for _, token in pairs]

    def spelled(self, data: bytes) -> list[int]:
        """The tokens of exactly these bytes."""
        # No bytes stand between some and the same with a zero byte after them.
        start, end = bisect_left(self._bytes, data), bisect_left(self._bytes, data + b"\0")
        return self._ids[start:end]

    def starting_with(self, data: bytes) -> list[int]:
        """The tokens that begin with these bytes, those of exactly these bytes among them."""
        return self._ids[slice(*self._range(data))]

    def extended(self, data: bytes) -> bool:
        """Whether a token begins with these bytes and goes on."""
        _, end = self._range(data)
        return bisect_left(self._bytes, data + b"\0") < end

    def _range(self, data: bytes) -> tuple[int, int]:
        # What begins with data comes before data's successor as a number; 0xFF has to carry.
        trimmed = data.rstrip(b"\xff")
        end = len(self._bytes)
        if trimmed:
            after = trimmed[:-1] + bytes([trimmed[-1] + 1])
            end = bisect_left(self._bytes, after)
        return bisect_left(self._bytes, data), end


class Healing:
    """The bytes taken back from a prompt, and which tokens may spell them anew.

    `taken` is empty where there is nothing to heal.
    """

    def __init__(self, index: TokenIndex, ids: Sequence[int], taken: bytes) -> None:
        """ids: the tokens of the prompt that stay."""
        self.ids = list(ids)
        self.taken = taken
        self._allowed = self._from_the_end(index)

    def _from_the_end(self, index: TokenIndex) -> list[list[int]]:
        """For each place in `taken` the tokens from which its end can still be reached."""
        allowed: list[list[int]] = [[] for _ in self.taken]
        for start in range(len(self.taken) - 1, -1, -1):
            rest = self.taken[start:]
            allowed[start] = index.starting_with(rest)
            for size in range(1, len(rest)):
                if allowed[start + size]:
                    allowed[start] += index.spelled(rest[:size])
        return allowed

    def allowed(self, drawn: int) -> list[int] | None:
        """The ids that may come after `drawn` bytes were drawn; None for any.

        These are the tokens that begin with the rest of `taken`, and those that the rest begins
        with, as long as other tokens can spell what then remains.
        """
        return self._allowed[drawn] if drawn < len(self.taken) else None


def heal(index: TokenIndex, ids: Sequence[int], pieces: Sequence[bytes | None]) -> Healing:
    """Take back the end of a prompt of these ids, so that no token is cut at its end.

    pieces: the bytes of each id, None for one that has to stay. The most of the last tokens go
    whose bytes together begin some longer token. The first id stays in any case, since the model
    needs something to begin from.
    """
    for first in range(max(len(ids) - LAST_TOKENS, 1), len(ids)):
        last = pieces[first:]
        tail = b"".join(piece for piece in last if piece is not None)
        if None not in last and tail and index.extended(tail):
            return Healing(index, ids[:first], tail)
    return Healing(index, ids, b"")
