"""Judging answers: how often they are right, by class, and as often as they were sure to be."""

from __future__ import annotations

import math
import statistics
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

from gptcli.types.evaluation import Bin, ClassFigures, Evaluation, Match, Outcome

#: More different answers than this have no confusion matrix.
MOST_CLASSES = 30
BINS = 10
#: The normal distribution's 97.5 % quantile: a two-sided interval of 95 %.
_Z = statistics.NormalDist().inv_cdf(0.975)


def evaluate(
    outcomes: Sequence[Outcome], *, match: Match = "exact", labels: Sequence[str] = ()
) -> Evaluation:
    """The figures of at least one outcome. labels: classes that come first, in this order."""
    same = _same(match)
    pairs = [(same(each.expected), same(each.answer)) for each in outcomes]
    right = [expected == answer for expected, answer in pairs]
    names = list(
        dict.fromkeys([*map(same, labels), *(e for e, _ in pairs), *(a for _, a in pairs)])
    )
    few = len(names) <= MOST_CLASSES
    counts = Counter(pairs)
    sure = [
        (each.confidence, ok)
        for each, ok in zip(outcomes, right, strict=True)
        if each.confidence is not None
    ]
    bins = _bins(sure)
    error = (
        sum(b.count * abs(b.accuracy - b.confidence) for b in bins) / len(sure) if sure else None
    )
    return Evaluation(
        count=len(outcomes),
        correct=sum(right),
        interval=wilson(sum(right), len(outcomes)),
        classes=tuple(_figures(name, counts) for name in names) if few else (),
        confusion=tuple(tuple(counts[a, b] for b in names) for a in names) if few else None,
        calibration_error=error,
        bins=tuple(bins),
        log_loss=_log_loss([each.due for each in outcomes if each.due is not None]),
    )


def is_right(outcome: Outcome, match: Match) -> bool:
    """Whether the answer is the expected one."""
    same = _same(match)
    return same(outcome.expected) == same(outcome.answer)


def wilson(successes: int, count: int) -> tuple[float, float]:
    """The 95 % score interval of a proportion (Wilson 1927, JASA 22:158, p. 209)."""
    share, square = successes / count, _Z * _Z
    centre = (share + square / (2 * count)) / (1 + square / count)
    root = math.sqrt(share * (1 - share) / count + square / (4 * count * count))
    half = _Z * root / (1 + square / count)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def _log_loss(shares: Sequence[float]) -> float | None:
    # A share that was rounded to nothing would make the mean infinite.
    return -statistics.fmean(math.log(max(each, 1e-12)) for each in shares) if shares else None


def _figures(name: str, counts: Counter[tuple[str, str]]) -> ClassFigures:
    hit = counts[name, name]
    due = sum(n for (expected, _), n in counts.items() if expected == name)
    said = sum(n for (_, answer), n in counts.items() if answer == name)
    precision = hit / said if said else None
    recall = hit / due if due else None
    f1 = 2 * hit / (said + due) if said + due else None
    return ClassFigures(name, precision, recall, f1, due)


def _bins(sure: Sequence[tuple[float, bool]]) -> list[Bin]:
    """Ten of equal width, without empty ones (Guo et al., arXiv:1706.04599)."""
    found = []
    for place in range(BINS):
        low, high = place / BINS, (place + 1) / BINS
        inside = [(c, ok) for c, ok in sure if min(int(c * BINS), BINS - 1) == place]
        if inside:
            confidence = statistics.fmean(c for c, _ in inside)
            accuracy = statistics.fmean(ok for _, ok in inside)
            found.append(Bin(low, high, len(inside), confidence, accuracy))
    return found


def _same(match: Match) -> Callable[[str], str]:
    """What of two texts is compared."""
    return _loose if match == "loose" else str.strip


def _loose(text: str) -> str:
    """Without regard to case, compatible forms, runs of white space, quotes and a final stop."""
    plain = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return plain.strip("\"'“”‘’«» ").rstrip(".!?… ")
