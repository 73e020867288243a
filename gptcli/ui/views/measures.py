"""What a token can be coloured by: five steps from what was expected to what was not."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from gptcli.plain import dataclass
from gptcli.types.completion import Among


class Seen(Protocol):
    """A token of which it is known how the model had expected it: TokenInfo, PromptToken."""

    @property
    def logprob(self) -> float | None:
        """Natural, in the raw distribution; None where nothing stood before it."""
        ...

    @property
    def among(self) -> Among | None:
        """Where it stood among all; None where nobody asked, or tells."""
        ...

    @property
    def bytes(self) -> bytes:
        """Its own."""
        ...

    @property
    def top_logprobs(self) -> tuple[Any, ...]:
        """The likeliest tokens at its place."""
        ...


@dataclass(frozen=True)
class Measure:
    """A number that tokens have, and where its steps are.

    borders: between the five steps, from the expected end on; falls: it is less where less was
    expected. labels: what a legend calls the steps. value: of a token; together: of several that
    share a character.
    """

    name: str
    borders: tuple[float, float, float, float]
    labels: tuple[str, str, str, str, str]
    value: Callable[[Seen], float | None]
    together: Callable[[Sequence[float]], float] = sum
    falls: bool = False

    def step(self, value: float | None) -> int | None:
        """From 0 to 4; None for what has no value."""
        if value is None:
            return None
        return sum(value < each if self.falls else value >= each for each in self.borders)

    def of(self, tokens: Sequence[Seen]) -> float | None:
        """The value of tokens that share a character; None where one of them has none."""
        return joint(self, [self.value(each) for each in tokens])


def joint(measure: Measure, values: Sequence[float | None]) -> float | None:
    """The values of tokens that share a character as one; None where one of them has none."""
    known = [each for each in values if each is not None]
    return measure.together(known) if known and len(known) == len(values) else None


def _bits(token: Seen) -> float | None:
    return None if token.logprob is None else abs(token.logprob) / math.log(2)


def _probability(token: Seen) -> float | None:
    return None if token.logprob is None else math.exp(token.logprob)


#: -log2 of the probability.
SURPRISAL = Measure("bits", (2, 5, 8, 12), ("0–2", "2–5", "5–8", "8–12", "12+"), _bits)
PROBABILITY = Measure(
    "probability",
    (0.25, 0.05, 0.01, 0.001),
    ("25%+", "5–25%", "1–5%", "0.1–1%", "<0.1%"),
    _probability,
    together=math.prod,
    falls=True,
)
#: Of the distribution that a token was drawn from, not of the token: what else could have come.
ENTROPY = Measure(
    "entropy",
    (1, 2, 4, 6),
    ("0–1 bits", "1–2", "2–4", "4–6", "6+"),
    lambda token: None if token.among is None else token.among.entropy,
)
RANK = Measure(
    "rank",
    (2, 5, 20, 100),
    ("1", "2–4", "5–19", "20–99", "100+"),
    lambda token: None if token.among is None else token.among.rank,
    together=max,
)
#: Those that a completion can be coloured by.
MEASURES = {each.name: each for each in (PROBABILITY, ENTROPY, RANK)}
