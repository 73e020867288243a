"""Rounds: in each, all sides of all comparisons, those of one comparison directly in turns."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.bench.peers.cases import Comparison, MeasureError, Side
from tests.bench.peers.quiet import watch


@dataclass(frozen=True)
class Figure:
    """What one measurement gave, None where it failed, for the reason in `failure`.

    others: cores that other processes kept busy meanwhile, None where that is not known.
    """

    round: int
    comparison: Comparison
    side: str
    value: float | None
    failure: str | None = None
    others: float | None = None


@dataclass
class Figures:
    """The figures of one comparison: side → a value for each round."""

    comparison: Comparison
    values: dict[str, list[float | None]] = field(default_factory=dict)


def run(
    comparisons: Sequence[Comparison],
    rounds: int,
    seconds: float = math.inf,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Figure]:
    """Measure one after the other. A failure ends no round: that figure is missing.

    After `seconds` nothing begins, nor does what would end later if it took as long as in the
    round before, or, in the first, as the longest so far: then the rounds are over.
    """
    end = clock() + seconds
    took: dict[int, float] = {}
    for number in range(1, rounds + 1):
        for comparison in comparisons:
            start = clock()
            longest = max(took.values(), default=0.0)
            if start + took.get(id(comparison), longest) > end:
                return
            for side in comparison.sides:
                yield _figure(number, comparison, side)
            took[id(comparison)] = clock() - start


def _figure(number: int, comparison: Comparison, side: Side) -> Figure:
    value = failure = None
    before = watch()
    try:
        value = side.measure()
    except MeasureError as error:
        failure = str(error)
    after = watch()
    others = before.others(after) if before and after else None
    return Figure(number, comparison, side.name, value, failure, others)


def collect(figures: Sequence[Figure]) -> list[Figures]:
    """By comparison and side. A round that was broken off counts for those that it reached."""
    found: dict[int, Figures] = {}
    for figure in figures:
        key = id(figure.comparison)
        of = found.setdefault(key, Figures(figure.comparison))
        values = of.values.setdefault(figure.side, [])
        values += [None] * (figure.round - 1 - len(values)) + [figure.value]
    for of in found.values():
        rounds = max(len(values) for values in of.values.values())
        for side in of.comparison.sides:
            values = of.values.setdefault(side.name, [])
            values += [None] * (rounds - len(values))
    return list(found.values())
