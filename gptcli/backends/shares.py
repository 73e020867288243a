"""What log-probabilities of texts to be chosen from are worth beside each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from gptcli.types.choose import Choice
from gptcli.types.few_shot import LabelShare

#: Inputs without content, as in contextual calibration (Zhao et al., arXiv:2102.09690).
CONTENT_FREE = ("N/A", "[MASK]", "")


def shares(totals: Sequence[float]) -> list[float]:
    """softmax: what each is of all, where some are less than float64 holds as probabilities."""
    best = max(totals)
    if best == -math.inf:
        return [1 / len(totals)] * len(totals)
    weights = [math.exp(total - best) for total in totals]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def calibrated_choices(found: Sequence[Choice], without: Sequence[float]) -> list[Choice]:
    """The choices with what they are worth beyond `without`, their worth after another text.

    log p(choice | prompt) - log p(choice | calibrate): the domain-conditional pointwise mutual
    information of Holtzman et al., arXiv:2104.08315; a text without content as in contextual
    calibration, Zhao et al., arXiv:2102.09690.
    """
    totals = [choice.logprob - base for choice, base in zip(found, without, strict=True)]
    return [
        replace(choice, calibrated=total, calibrated_probability=share)
        for choice, total, share in zip(found, totals, shares(totals), strict=True)
    ]


def label_shares(labels: Sequence[str], totals: Sequence[float]) -> list[LabelShare]:
    """Labels, in their order, with the log-probability of each and its share."""
    return [LabelShare(*each) for each in zip(labels, totals, shares(totals), strict=True)]


def mean_shares(rows: Sequence[Sequence[float]]) -> list[float]:
    """The mean share of each label, from their log-probabilities after texts without content."""
    every = [shares(totals) for totals in rows]
    return [sum(column) / len(every) for column in zip(*every, strict=True)]


def calibrated_labels(labels: list[LabelShare], without: Sequence[float]) -> list[LabelShare]:
    """p(label | query) / p(label | no content), as shares of their sum.

    The winner is that of contextual calibration with W = diag(p)⁻¹ (Zhao et al.,
    arXiv:2102.09690), which then takes a softmax where these are divided by their sum.
    """
    smallest = 1e-12
    weights = [
        each.probability / max(base, smallest) for each, base in zip(labels, without, strict=True)
    ]
    total = sum(weights) or 1.0
    pairs = zip(labels, weights, strict=True)
    return [replace(each, calibrated=weight / total) for each, weight in pairs]


def best_label(labels: Sequence[LabelShare]) -> str:
    """The one with the largest share, of equals the first."""
    return max(labels, key=lambda label: label.share).label
