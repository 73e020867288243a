"""Texts that must not come: where one would stand among tokens, and what may yet become one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gptcli.text.stop import overlap


def banned(
    texts: Sequence[str], bytes_of: Callable[[int], bytes], *, skip: int = 0
) -> Banned | None:
    """None where nothing is."""
    return Banned(texts, bytes_of, skip=skip) if texts else None


class Banned:
    """Texts, told by the bytes of tokens. bytes_of: what a token adds to the text that is shown.

    skip: of so many bytes at the beginning nothing is shown. Each question is about the tokens of
    a text so far, of which only the last ones matter: nothing before them was found.
    """

    def __init__(
        self, texts: Sequence[str], bytes_of: Callable[[int], bytes], *, skip: int = 0
    ) -> None:
        self._texts = [text.encode() for text in texts if text]
        self._longest = max(map(len, self._texts), default=0)
        self._bytes_of, self._skip = bytes_of, skip

    def begins(self, drawn: Sequence[int]) -> int | None:
        """Of the first text that is whole with the last token, the place of the token in which it
        begins; None where there is none.
        """
        data, starts, first = self._end(drawn)
        last = starts[-1] if starts else 0
        found = []
        for text in self._texts:
            at = data.find(text, max(first, last - len(text) + 1))
            if at >= 0:
                found.append(at)
        return self._place(drawn, starts, min(found)) if found else None

    def open(self, drawn: Sequence[int]) -> int:
        """How many of the last tokens may begin one of the texts, by what comes next."""
        data, starts, first = self._end(drawn)
        most = max((overlap(data[first:], text) for text in self._texts), default=0)
        return len(drawn) - self._place(drawn, starts, len(data) - most) if most else 0

    def _end(self, drawn: Sequence[int]) -> tuple[bytes, list[int], int]:
        """The bytes of the last tokens, where each begins there, and where what is shown does."""
        pieces: list[bytes] = []
        behind = 0
        for token in reversed(drawn):
            pieces.append(self._bytes_of(token))
            # The last one, and of those before it as much as a text may begin in.
            behind += len(pieces[-1]) if len(pieces) > 1 else 0
            if behind >= self._longest:
                break
        pieces.reverse()
        starts, size = [], 0
        for piece in pieces:
            starts.append(size)
            size += len(piece)
        before = 0
        if self._skip:
            rest = drawn[: len(drawn) - len(pieces)]
            before = sum(len(self._bytes_of(token)) for token in rest)
        return b"".join(pieces), starts, min(max(self._skip - before, 0), size)

    @staticmethod
    def _place(drawn: Sequence[int], starts: Sequence[int], at: int) -> int:
        """The token whose byte stands there: the last one that begins there or before."""
        index = max(index for index, start in enumerate(starts) if start <= at)
        return len(drawn) - len(starts) + index
