"""Tokens that are drawn and may yet be taken back, since a text that must not come begins in them.

Where such a text is whole, everything from the token on in which it began is taken back, that
token is forbidden at its place, and another is drawn there from the same logits, with the next
number of the text's own seed. So a text depends on nothing but itself: not on what runs beside it,
and not on drafts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Generic, Protocol, TypeVar

from gptcli.engine.arrays import Array
from gptcli.plain import dataclass

T = TypeVar("T")


class Ban(Protocol):
    """See text.banned.Banned."""

    def begins(self, drawn: Sequence[int]) -> int | None:
        """The place of the token in which a text begins that is now whole and must not be."""
        ...

    def open(self, drawn: Sequence[int]) -> int:
        """How many of the last tokens may begin one."""
        ...


def uncertain(ban: Ban, drawn: Sequence[int]) -> int:
    """How many of the last tokens may yet be taken back.

    Not only what is open now: once a token is taken back, what stands before it is open again.
    """
    first = end = len(drawn)
    while end >= first:
        first = min(first, end - ban.open(drawn[:end]))
        end -= 1
    return len(drawn) - first


@dataclass(frozen=True)
class Held(Generic[T]):
    """What was drawn, and the logits (1, vocab) that it was drawn from."""

    drawn: T
    logits: Array


@dataclass(eq=False)
class Pending(Generic[T]):
    """What of a text is held, the last tokens of it; what is forbidden there, by place.

    went_back: the last draw left fewer tokens than ran already; who runs the text cuts that off.
    """

    held: list[Held[T]] = field(default_factory=list)
    forbidden: dict[int, set[int]] = field(default_factory=dict)
    went_back: bool = False

    def take_back(self, generated: list[int], place: int) -> Array | None:
        """Forget what was drawn from a place on, and forbid it there; the logits of that place.

        None where that is not held any more.
        """
        count = len(generated) - place
        if not 0 < count <= len(self.held):
            return None
        logits = self.held[-count].logits
        self.forbidden.setdefault(place, set()).add(generated[place])
        for later in [each for each in self.forbidden if each > place]:
            del self.forbidden[later]
        del self.held[-count:], generated[place:]
        return logits

    def release(self, end: int, keep: int) -> list[T]:
        """What is certain of a text of `end` tokens: all but the last `keep`."""
        free = len(self.held) - keep
        given = [each.drawn for each in self.held[:free]]
        del self.held[:free]
        for place in [each for each in self.forbidden if each < end - keep]:
            del self.forbidden[place]
        return given
