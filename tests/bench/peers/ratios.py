"""Figures of rounds → one ratio of two sides."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """Ours through theirs: the median of the rounds' own ratios, and how far those spread.

    Within a round both sides ran one after the other, so that what a busy machine does to one it
    does to the other; the ratio of two medians would pair figures of different minutes.
    """

    median: float
    least: float
    most: float
    rounds: int


def ratio(ours: Sequence[float | None], theirs: Sequence[float | None]) -> Ratio | None:
    """Of two sides' figures, a round each; None is one that failed. None where no pair is whole."""
    pairs = zip(ours, theirs, strict=True)
    found = [mine / other for mine, other in pairs if mine is not None and other]
    if not found:
        return None
    return Ratio(statistics.median(found), min(found), max(found), len(found))


def median(figures: Sequence[float | None]) -> float | None:
    """The middle one of those that there are."""
    found = [figure for figure in figures if figure is not None]
    return statistics.median(found) if found else None
