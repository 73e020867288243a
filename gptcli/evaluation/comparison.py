"""Comparing distributions: token by token where they have the same, and by divergences.

KL(P‖Q) = Σ p log2(p/q) (Kullback and Leibler, 1951): the bits that are lost where Q is used to
code what P draws; infinite where Q forbids what P may draw. JS = KL(P‖M)/2 + KL(Q‖M)/2 with
M = (P+Q)/2 (Lin, 1991): symmetric, from 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from heapq import nlargest

from gptcli.types.comparison import ComparedToken, Comparison, Divergence
from gptcli.types.next_tokens import Distribution, Whole
from gptcli.types.token import Token

_LN2 = math.log(2)


def compare(distributions: Sequence[Distribution], rows: int) -> Comparison:
    """Compare distributions that tell their `whole`; rows: how many tokens to show.

    Shown are the tokens that are most probable on the average of all distributions.
    """
    wholes = [_whole(each) for each in distributions]
    first = wholes[0]
    divergences = tuple(
        _divergence(first, other) if first.tokens == other.tokens else None for other in wholes[1:]
    )
    if None in divergences:
        tokens = _by_bytes(distributions, wholes, rows)
    else:
        tokens = _by_id(distributions, wholes, rows)
    return Comparison(tuple(distributions), tuple(tokens), divergences)


def kl_bits(p: Iterable[float], q: Iterable[float]) -> float:
    """KL(P‖Q) in bits of two distributions, given as natural log-probabilities."""
    return max(math.fsum(_kl_terms(p, q)) / _LN2, 0.0)


def js_bits(p: Sequence[float], q: Sequence[float]) -> float:
    """The Jensen–Shannon divergence in bits of two, given as natural log-probabilities."""
    middle = [_log_mean(a, b) for a, b in zip(p, q, strict=True)]
    return (kl_bits(p, middle) + kl_bits(q, middle)) / 2


def _kl_terms(p: Iterable[float], q: Iterable[float]) -> Iterable[float]:
    for a, b in zip(p, q, strict=True):
        chance = math.exp(a)
        if chance > 0:
            yield chance * (a - b)


def _log_mean(a: float, b: float) -> float:
    larger, smaller = max(a, b), min(a, b)
    if larger == -math.inf:
        return larger
    return larger + math.log1p(math.exp(smaller - larger)) - _LN2


def _divergence(p: Whole, q: Whole) -> Divergence:
    a, b = p.logprobs, q.logprobs
    return Divergence(kl_bits(a, b), kl_bits(b, a), js_bits(a, b))


def _by_id(
    distributions: Sequence[Distribution], wholes: Sequence[Whole], rows: int
) -> list[ComparedToken]:
    columns = [[math.exp(value) for value in whole.logprobs] for whole in wholes]
    sums = [sum(each) for each in zip(*columns, strict=True)]
    # Of equals the lowest id first, wherever the numbers come from.
    best = nlargest(rows, range(len(sums)), key=lambda i: (sums[i], -i))
    special = {c.token.id for d in distributions for c in d.candidates if c.token.special}
    return [
        ComparedToken(
            Token(i, wholes[0].tokens[i], i in special), tuple(column[i] for column in columns)
        )
        for i in best
    ]


def _by_bytes(
    distributions: Sequence[Distribution], wholes: Sequence[Whole], rows: int
) -> list[ComparedToken]:
    places = [{data: i for i, data in reversed(list(enumerate(w.tokens)))} for w in wholes]
    shown: dict[bytes, Token] = {}
    for distribution in distributions:
        for candidate in distribution.candidates:
            shown.setdefault(candidate.token.bytes, candidate.token)
    found = []
    for data, token in shown.items():
        at = [place.get(data) for place in places]
        chances = tuple(
            None if i is None else math.exp(whole.logprobs[i])
            for i, whole in zip(at, wholes, strict=True)
        )
        found.append(ComparedToken(token, chances))
    found.sort(key=lambda each: -sum(chance or 0 for chance in each.probabilities))
    return found[:rows]


def _whole(distribution: Distribution) -> Whole:
    if distribution.whole is None:
        raise ValueError("a comparison needs distributions that tell their whole")
    return distribution.whole
