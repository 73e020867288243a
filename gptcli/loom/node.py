"""A piece of a text that goes on in several ways, and how it came to be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gptcli.plain import dataclass
from gptcli.types.token import Source

#: How a stretch of the model's ends: at its limit, by an end token or a stop string, by a person.
ENDS = ("length", "stop", "stopped")


@dataclass(frozen=True)
class Piece:
    """A token that was drawn, with its natural log-probability before any sampling.

    ends: it is the end token, which is no part of the text.
    """

    bytes: bytes
    logprob: float
    ends: bool = False


@dataclass(frozen=True)
class Way:
    """By what a stretch was drawn: the model, and the settings, plain JSON values by name.

    source.device is "" where the stretch was stopped before that was told.
    """

    source: Source
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Node:
    """A stretch of text after that of its parent; None is the parent of the prompt.

    pieces: the tokens it was drawn as; where a person wrote it, those it was judged as; none where
    nobody tells. judge: on what it was judged. way, seed: how it was drawn, None where a person
    wrote it. ended: one of ENDS, None where a person
    wrote it, and while it grows. edited: the text is no longer what was drawn.
    """

    id: int
    parent: int | None
    text: str
    children: tuple[int, ...] = ()
    pieces: tuple[Piece, ...] = ()
    ended: str | None = None
    seed: int | None = None
    way: Way | None = None
    marked: bool = False
    edited: bool = False
    judge: Source | None = None

    @property
    def over(self) -> bool:
        """Whether an end token came, after which nothing is to be said."""
        return bool(self.pieces) and self.pieces[-1].ends

    @property
    def logprob(self) -> float | None:
        """Of all its tokens together; None where it is not known."""
        return math.fsum(each.logprob for each in self.pieces) if self.pieces else None

    @property
    def probability(self) -> float | None:
        """Of all its tokens together: the product of theirs."""
        return None if self.logprob is None else math.exp(self.logprob)

    @property
    def mean(self) -> float | None:
        """The geometric mean of its tokens' probabilities, comparable between lengths."""
        return None if self.logprob is None else math.exp(self.logprob / len(self.pieces))
