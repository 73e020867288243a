"""What is measured, and who takes part: plain values that know of no peer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tests.bench.weights.places import Places

OURS = "gptcli"
#: Tokens: generated where decoding is timed, of a prompt where reading is; a batch of prompts.
NEW_TOKENS = 128
PROMPT_TOKENS = 512
BATCH, BATCH_PROMPT, BATCH_NEW = 16, 16, 64
#: Prompts that run side by side, against the same one by one.
MANY = 64
#: A whole process completes this, for one token where its start is timed.
PROMPT = "The capital of France is"
MEMORY_NEW = 64
#: Contexts whose time a token is compared, where the longer one may not cost much.
SHORT, LONG = 128, 8000


@dataclass(frozen=True)
class Unit:
    """How figures of a measure are shown: divided by `scale`, with so many digits."""

    name: str
    more_is_better: bool
    scale: float = 1.0
    digits: int = 1


RATE = Unit("tok/s", more_is_better=True)
SECONDS = Unit("s", more_is_better=False, digits=2)
PEAK = Unit("MiB", more_is_better=False, scale=2.0**20, digits=0)
READ = Unit("GB/s", more_is_better=True, scale=1e9)
TIME = Unit("ms/token", more_is_better=False, scale=1e-3, digits=2)
#: measure → its unit, in the order of the table.
MEASURES = {
    "decode": RATE,
    "prefill": RATE,
    "batch": RATE,
    "many": RATE,
    "served": RATE,
    "start": SECONDS,
    "warm": SECONDS,
    "memory": PEAK,
    "long": TIME,
    "avx2": RATE,
    "read": READ,
}


@dataclass(frozen=True)
class Case:
    """One thing to measure. depth: tokens of context before decoding, 0 for other measures."""

    measure: str
    dtype: str
    threads: int
    depth: int = 0

    def __str__(self) -> str:
        at = f" at {self.depth}" if self.depth else ""
        return f"{self.measure}{at}, {self.dtype}, {self.threads} threads"

    @property
    def unit(self) -> Unit:
        """What the figure is."""
        return MEASURES[self.measure]


class MeasureError(Exception):
    """A measurement that failed; what it says is one line."""


#: Measures once. Raises MeasureError.
Measure = Callable[[], float]


class Peer(Protocol):
    """Somebody who runs the weights of `Places`."""

    name: str

    def version(self) -> str:
        """Which one is installed, "" if it cannot be told. Raises MeasureError where none is."""

    def measure(self, case: Case, places: Places) -> Measure | None:
        """How to measure a case, None where the peer has no such thing."""


@dataclass(frozen=True)
class Side:
    """Somebody's figure for a case."""

    name: str
    measure: Measure


@dataclass(frozen=True)
class Comparison:
    """A case, measured by gptcli first and then by every other side, in turns."""

    case: Case
    ours: Side
    others: tuple[Side, ...]

    @property
    def sides(self) -> tuple[Side, ...]:
        """All, in the order in which they are measured."""
        return (self.ours, *self.others)
