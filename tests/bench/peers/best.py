"""Each dtype of gptcli's beside the best that a peer has in any dtype."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.bench.peers.cases import OURS
from tests.bench.peers.rounds import Figures

#: Whose best, and in what; targets.py knows the name.
PEER, MEASURES = "openvino", ("prefill", "batch")
BEST = f"{PEER}'s best"


def best(found: Sequence[Figures]) -> Iterator[tuple[str, Figures]]:
    """Who it is, and gptcli's figures of a case again, beside the largest of the same round.

    Figures of one measure with as many threads are alike; a round in which the peer has none has
    no best.
    """
    for one in found:
        case = one.comparison.case
        if case.measure not in MEASURES:
            continue
        rounds: list[list[float]] = [[] for _ in one.values[OURS]]
        for other in found:
            beside = other.comparison.case
            if (beside.measure, beside.threads) == (case.measure, case.threads):
                for at, value in zip(rounds, other.values.get(PEER, ()), strict=False):
                    at += [value] if value is not None else []
        if any(rounds):
            largest = [max(at, default=None) for at in rounds]
            yield BEST, Figures(one.comparison, {OURS: one.values[OURS], BEST: largest})
