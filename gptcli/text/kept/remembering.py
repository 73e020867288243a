"""What was looked up is remembered, as much of it as there is room for."""

from __future__ import annotations

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


def remember(known: dict[K, V], key: K, value: V, most: int) -> V:
    """The value, which is known from now on; where `most` are known, the others no longer are."""
    if len(known) >= most:
        known.clear()
    known[key] = value
    return value
