"""The draw of the next token from a distribution, with numbers that its seed promises."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice
from random import Random

from gptcli.engine import arrays
from gptcli.engine.arrays import Array, namespace
from gptcli.engine.asking.history import History
from gptcli.engine.asking.sampling import adjustments, distribution
from gptcli.types.sampling import Sampling


class Chances(Random):
    """Uniform numbers in their order, of which some may be looked at before they are drawn."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._seen = deque[float]()

    def random(self) -> float:
        """The next number."""
        return self._seen.popleft() if self._seen else super().random()

    def ahead(self, count: int) -> list[float]:
        """The next numbers, which stay the next ones."""
        while len(self._seen) < count:
            self._seen.append(super().random())
        return list(islice(self._seen, count))


def generators(seed: int, count: int) -> list[Chances]:
    """The source of uniform numbers of each sample: sample i has seed + i, after 2³² - 1 comes 0.

    Python's own, since it promises the same numbers for a seed in every version to come, and they
    are the same wherever the logits are.
    """
    return [Chances((seed + i) % 2**32) for i in range(count)]


def next_ids(
    logits: Array,
    sampling: Sampling,
    histories: Sequence[History],
    generators: Sequence[Random],
) -> list[int]:
    """One token id per row, drawn from `distribution`. Raises as `stages` does.

    Greedy, that has one token only: it is found at once, without a draw.
    """
    # A number more for each token, whatever comes of it, so that a text depends on its own alone.
    chances = [generator.random() for generator in generators] if sampling.xtc else ()
    if sampling.temperature != 0:
        return draw(distribution(logits, sampling, histories, chances), generators)
    for _, adjusted in adjustments(logits, sampling, histories, chances):
        logits = adjusted
    # The first of equals, in both libraries.
    return list(map(int, namespace(logits).argmax(logits, axis=-1).tolist()))


def draw(logits: Array, generators: Sequence[Random]) -> list[int]:
    """One token id per row from softmax(logits): where a uniform number falls in the sums.

    Each row takes one number from a generator of its own, so it draws the same whatever else is
    in the batch and whatever device the logits are on.
    """
    uniform = [generator.random() for generator in generators]
    return arrays.at_shares(arrays.softmax(logits), uniform)
