"""A chapter of an explanation: its words, and what there is to see, for any kind of view."""

from __future__ import annotations

from dataclasses import dataclass

from gptcli.ui.terminal.tables import Cell, Column


@dataclass(frozen=True)
class Meter:
    """A cell that is a bar, filled to a share from 0 to 1."""

    share: float


@dataclass(frozen=True)
class Numbers:
    """A table. Cells are texts, or a Meter in a column of its own."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str | Cell | Meter, ...], ...]


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
