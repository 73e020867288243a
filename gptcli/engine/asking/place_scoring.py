"""How probable it was, at some places of a text, that what stands there comes next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gptcli.engine.arrays import log_softmax, softmax
from gptcli.engine.asking.prefix import PrefixCache
from gptcli.engine.asking.sampling import check_finite


@dataclass(frozen=True)
class PlaceScores:
    """Probabilities: `after` of the token that follows each place, `ends` of the end tokens."""

    after: tuple[float, ...]
    ends: float


def score_places(
    prefix: PrefixCache, ids: Sequence[int], places: Sequence[int], ends: Sequence[int]
) -> PlaceScores:
    """The raw probability of ids[place + 1] after ids[: place + 1], for rising places.

    And that of all `ends` together after the whole. Each token runs once; `prefix` then holds the
    text. Raises NonFiniteError where the model gives no distribution.
    """
    found = []
    for place in places:
        logits = prefix.prefill(ids[: place + 1])
        check_finite(logits)
        found.append(math.exp(float(log_softmax(logits[0])[ids[place + 1]])))
    logits = prefix.prefill(ids)
    check_finite(logits)
    chances = softmax(logits[0])
    return PlaceScores(tuple(found), float(chances[list(ends)].sum()) if ends else 0.0)
