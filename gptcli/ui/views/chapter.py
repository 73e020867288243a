"""A chapter of an explanation: its words, and what there is to see, for any kind of view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gptcli.types.explain import Block
from gptcli.types.token import Token
from gptcli.ui.terminal.tables import Cell, Column
from gptcli.ui.terminal.visible import visible
from gptcli.ui.words import Words

#: How many layers are told of where nobody chose.
LAYERS = 8


@dataclass(frozen=True)
class Meter:
    """A cell that is a bar, filled to a share from 0 to 1, or below 0 of what is taken away."""

    share: float


@dataclass(frozen=True)
class Numbers:
    """A table. Cells are texts, or a Meter in a column of its own. caption: stands above it."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str | Cell | Meter, ...], ...]
    caption: str = ""


@dataclass(frozen=True)
class Vector:
    """A vector to be shown as a strip of colours, and what it is."""

    caption: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Chapter:
    """One chapter: words first, then what there is to see. notes stand below."""

    key: str
    title: str
    lines: tuple[str, ...]
    parts: tuple[Numbers | Vector, ...]
    notes: tuple[str, ...] = ()


def chapter_of(
    words: Words,
    key: str,
    facts: dict[str, object],
    parts: Sequence[Numbers | Vector] = (),
    notes: Sequence[str] = (),
) -> Chapter:
    """A chapter by its key; facts are the numbers in its words."""
    lines = tuple(words.lines(key, **facts))
    return Chapter(key, words.title(key), lines, tuple(parts), tuple(notes))


def column(words: Words, key: str, kind: str = "number", keep: int = 0) -> Column:
    """A column under a word of the language. kind: token, list, main or number."""
    if kind == "token":
        return Column(words.label(key), shrink=True, least=6, style="bold", keep=keep)
    if kind == "list":
        return Column(words.label(key), shrink=True, least=8, keep=keep)
    return Column(words.label(key), right=True, style="cyan" if kind == "main" else "", keep=keep)


def listed(pairs: Sequence[tuple[Token, float]], form: str, most: int = 5) -> str:
    """Tokens with their values, in one cell."""
    return "  ".join(
        f"{visible(token.bytes)} {form.format(value)}" for token, value in pairs[:most]
    )


def some_layers(blocks: Sequence[Block], *, every: bool) -> list[int]:
    """The layers of these blocks that are told of: all, or LAYERS from the first to the last."""
    chosen = sorted({block.layer for block in blocks})
    if every or len(chosen) <= LAYERS:
        return chosen
    last = len(chosen) - 1
    return [chosen[round(place * last / (LAYERS - 1))] for place in range(LAYERS)]
