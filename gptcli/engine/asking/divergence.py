"""How far apart two models of the same weights are that compute in other precisions.

KL(P‖Q) = Σ p (ln p - ln q) (Kullback and Leibler, 1951), P being the exact one's distribution
over the next token, Q the other's: what is lost where Q stands for P. In nats, over the whole
vocabulary, summed in float64: the differences are far smaller than float32 tells of a sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gptcli.engine import arrays
from gptcli.engine.arrays import Array
from gptcli.engine.asking.sampling import check_finite
from gptcli.engine.asking.scoring import Window, logits_of
from gptcli.engine.runner import HEAD_ROWS, Runner

Floats = NDArray[np.float64]

#: Positions whose whole distributions are held in float64 at once.
_ROWS = 16


@dataclass(frozen=True)
class Divergence:
    """A token at its place, under both models.

    exact, other: its natural log-probability; kl: KL(exact‖other) of what may come there, in nats;
    agrees: both find the same token most probable, of equals the one with the lowest id.
    """

    exact: float
    other: float
    kl: float
    agrees: bool


def divergences(
    exact: Runner,
    other: Runner,
    ids: Sequence[int],
    plan: Sequence[Window],
    *,
    rows: int = HEAD_ROWS,
) -> Iterator[Divergence]:
    """The scored tokens of every window, in order, as `scoring.score` scores them.

    Logits of `rows` positions of each model are held at once. Raises NonFiniteError.
    """
    states = exact.new_state(), other.new_state()
    for window in plan:
        position = window.first
        one, two = (
            logits_of(runner, state, ids, window, rows=rows)
            for runner, state in zip((exact, other), states, strict=True)
        )
        for ours, theirs in side_by_side(one, two):
            yield from divergences_of_rows(ours, theirs, ids[position : position + len(ours)])
            position += len(ours)


def side_by_side(one: Iterator[Array], two: Iterator[Array]) -> Iterator[tuple[Any, Any]]:
    """Two streams of rows in pieces of the same length: runners cut their parts as they like."""
    left = right = np.empty((0, 0), np.float32)
    while True:
        if not len(left):
            left = arrays.host(next(one, left))
        if not len(right):
            right = arrays.host(next(two, right))
        rows = min(len(left), len(right))
        if not rows:
            if len(left) or len(right):
                raise ValueError("one model gave logits of more positions than the other")
            return
        yield left[:rows], right[:rows]
        left, right = left[rows:], right[rows:]


def divergences_of_rows(
    exact: NDArray[np.float32], other: NDArray[np.float32], ids: Sequence[int]
) -> Iterator[Divergence]:
    """One id for each row of both logits, (rows, vocab). Raises NonFiniteError."""
    for start in range(0, len(ids), _ROWS):
        part = slice(start, start + _ROWS)
        for logits in (exact[part], other[part]):
            check_finite(logits)
        p = arrays.log_softmax(exact[part].astype(np.float64))
        q = arrays.log_softmax(other[part].astype(np.float64))
        places = np.arange(len(p)), np.asarray(ids[part])
        # Not of float64's, in which two logits that differ may become one number.
        agree = exact[part].argmax(axis=-1) == other[part].argmax(axis=-1)
        columns = p[places], q[places], _kl(p, q), agree
        yield from map(Divergence, *(column.tolist() for column in columns))


@arrays.quiet
def _kl(p: Floats, q: Floats) -> Floats:
    """KL of each row of natural log-probabilities; infinite where q forbids what p may draw."""
    chances = np.exp(p)
    # What cannot come adds nothing: 0 · ln 0 is 0.
    terms = np.where(chances > 0, chances * (p - q), 0.0)
    # Rounding alone could take it below 0.
    return np.asarray(terms.sum(axis=-1).clip(min=0.0), dtype=np.float64)
