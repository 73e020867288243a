"""When drafts pay: a text that is known, a clock that counts what passes would take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from types import SimpleNamespace

import numpy as np
import pytest

from gptcli.engine.asking.ahead import Ahead
from gptcli.engine.asking.history import History
from gptcli.engine.asking.looked_up import LookedUp
from gptcli.engine.asking.pace import Pace

Cost = Callable[[int], float]
#: What a pass of so many tokens takes: where reading weights is all, and where each token counts.
COSTS = [lambda n: 1 + 0.03 * (n - 1), lambda n: 1 + 0.4 * (n - 1), lambda n: float(n)]

#: Machines are not quiet.
NOISE = [0.95, 1.0, 1.0, 1.05, 1.3]


class Passes:
    """A Tail and a Runner in one, of which only the time is real."""

    def __init__(self, cost: Cost) -> None:
        self.cost, self.now, self.length, self.limit = cost, 0.0, 0, 1 << 20
        self.noise = Random(5)

    def decode(self, token: int) -> np.ndarray:
        return self.decode_all([token])

    def decode_all(self, ids: Sequence[int]) -> np.ndarray:
        self.length += len(ids)
        self.now += self.cost(len(ids)) * self.noise.choice(NOISE)
        return np.zeros((len(ids), 1))

    def cut(self, length: int) -> None:
        self.length = length

    def wait(self) -> None:
        pass


def gained(prompt: list[int], text: list[int], cost: Cost) -> tuple[float, Ahead]:
    """How many times faster the text is written than token by token."""
    passes = Passes(cost)
    history = History(prompt)
    clock = SimpleNamespace(now=lambda: passes.now)
    pace = Pace()
    ahead = Ahead(
        passes,  # type: ignore[arg-type]
        passes,
        history,
        lambda ids: [LookedUp(ids, pace, 0, ())],
        pace=pace,
        clock=clock.now,
    )
    for at, token in enumerate(text):
        history.generated.append(token)
        ahead.next(history, len(text) - at)
    return len(text) * cost(1) * sum(NOISE) / len(NOISE) / passes.now, ahead


def broken_off(chance: Random, phrases: int, size: int) -> list[int]:
    """The same few words again and again, and each time others after them."""
    known = [[chance.randrange(1000) for _ in range(size)] for _ in range(phrases)]
    found: list[int] = []
    for _ in range(200):
        found += [*chance.choice(known), *(chance.randrange(10_000) for _ in range(3))]
    return found


@pytest.mark.parametrize("cost", COSTS)
def test_no_text_loses_more_than_a_little(cost):
    """Catches drafts that go on though they are rejected, costs that nobody measured, and tries
    that come too often: without repeats, with some that are always broken off, and in short.
    """
    chance = Random(1)
    texts = [[chance.randrange(300) for _ in range(600)], [chance.randrange(6) for _ in range(600)]]
    texts += [broken_off(chance, 4, size) for size in (3, 6, 12, 24)]
    texts += [each[:100] for each in texts]
    factors = [gained(list(range(50)), text, cost)[0] for text in texts]
    assert min(factors) >= 0.97, factors


def test_copies_are_written_faster():
    """Catches drafts that are never tried, too short or given up where they pay."""
    chance = Random(2)
    prompt = [chance.randrange(2000) for _ in range(300)]
    edited = list(prompt)
    for at in range(20, 300, 40):
        edited[at] = 5000 + at
    assert gained(prompt, edited, COSTS[0])[0] > 4
    assert gained(prompt, edited, COSTS[1])[0] > 1.5
    factor, ahead = gained(prompt, edited, COSTS[2])
    # Nothing can be gained: it stops.
    assert factor >= 0.97 and ahead.drafted < 100


def test_it_begins_again_where_a_text_begins_to_repeat():
    """Catches drafts that are given up for good."""
    chance = Random(3)
    plain = [chance.randrange(100) for _ in range(400)]
    assert gained([1], plain + 4 * plain[:200], COSTS[1])[0] > 1.2


def test_a_pass_that_was_quick_by_chance_proves_little():
    """Catches a long draft because of a short one that took less time than a single token."""
    pace = Pace()
    for size, seconds in ((0, 1.0), (0, 1.0), (1, 0.6)):
        pace.passed(size, seconds)
    assert 0 < pace.length(32, 17) <= 2
    assert pace.cost(17) > pace.cost(5) > 1
