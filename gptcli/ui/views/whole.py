"""Tokens as the whole characters that they spell: those that share one are taken together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Whole(Generic[T]):
    """Feed it the bytes of tokens, get bytes that end with a character, and whose they are."""

    def __init__(self) -> None:
        self._data = b""
        self._group: list[T] = []

    @property
    def held(self) -> bool:
        """Whether a character is begun."""
        return bool(self._group)

    def feed(self, data: bytes, token: T) -> Iterator[tuple[bytes, tuple[T, ...]]]:
        """What the next token completes."""
        self._group.append(token)
        self._data += data
        if not _is_cut(self._data):
            yield from self.finish()

    def finish(self) -> Iterator[tuple[bytes, tuple[T, ...]]]:
        """What is left, whole or not."""
        if self._group:
            found, group = self._data, tuple(self._group)
            self._data, self._group = b"", []
            yield found, group


def _is_cut(data: bytes) -> bool:
    """Whether the bytes end within a character that more bytes could complete."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"
    return False
