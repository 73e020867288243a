"""When a model's drafts pay: a text that is known, and a clock that counts what both would take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from types import SimpleNamespace

import pytest

from gptcli.engine.asking.ahead import Ahead
from gptcli.engine.asking.drafter_pace import DrafterPace
from gptcli.engine.asking.history import History
from gptcli.engine.asking.modelled import Modelled
from gptcli.engine.asking.pace import Pace
from tests.engine.asking.test_pace import COSTS, NOISE, Cost, Passes

LENGTH = 600


class Guesses:
    """A Drafter that knows the text, and is right as often as it says, or as `honest` says."""

    def __init__(self, text: list[int], passes: Passes, each: float, right: float | None) -> None:
        self._text, self._passes, self._each, self._right = text, passes, each, right
        self._chance = Random(3)

    def read(self, ids: Sequence[int]) -> None:
        pass

    def after(self, ids: Sequence[int]) -> Iterator[tuple[int, float]]:
        for token in self._text[len(ids) :]:
            self._passes.now += self._each
            share = self._chance.choice((0.3, 0.7, 0.95, 0.99))
            right = self._chance.random() < (share if self._right is None else self._right)
            yield (token if right else -1), share


def gained(cost: Cost, each: float, right: float | None) -> tuple[float, Ahead]:
    """How many times faster the text is written than token by token; tokens differ by 600."""
    text = list(range(LENGTH))
    passes, pace = Passes(cost), Pace()
    clock = SimpleNamespace(now=lambda: passes.now)
    drafter, own = Guesses(text, passes, each, right), DrafterPace(pace)
    history = History([])
    ahead = Ahead(
        passes,  # type: ignore[arg-type]
        passes,
        history,
        lambda ids: [Modelled(ids, drafter, own, 0, (), clock.now)],  # type: ignore[arg-type]
        pace=pace,
        clock=clock.now,
    )
    for at, token in enumerate(text):
        history.generated.append(token)
        ahead.next(history, len(text) - at)
    return LENGTH * cost(1) * sum(NOISE) / len(NOISE) / passes.now, ahead


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("each", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("right", [None, 0.0, 0.2, 1.0])
def test_never_much_slower(cost, each, right):
    """Catches drafts that go on where they lose: wrong ones, dear ones, and those of a processor
    whose passes cost as much as their tokens.
    """
    faster, _ = gained(cost, each, right)
    assert faster > 0.97


def test_much_faster_where_it_pays():
    """Catches drafts that are too short, or left off for good after a bad beginning."""
    assert gained(COSTS[0], 0.05, 1.0)[0] > 4
    faster, ahead = gained(COSTS[0], 0.1, None)
    assert faster > 1.8 and ahead.kept > 0.4 * ahead.drafted
