"""Numbers of any points of a pass, kept to be put elsewhere, or their means over texts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.arrays import Array, float32, host
from gptcli.engine.points import Point, features
from gptcli.engine.runner import Runner

Floats = NDArray[np.float32]
Place = tuple[Point, int]


class Kept:
    """A probe that keeps what stands at some places, at some positions of one row."""

    def __init__(self, positions: range, places: Collection[Place]) -> None:
        self.positions = positions
        self._places = frozenset(places)
        self._parts: dict[Place, list[Floats]] = {}

    def wants(self, point: Point, layer: int) -> bool:
        """See Probe."""
        return (point, layer) in self._places

    def __call__(self, point: Point, layer: int, array: Array, start: int) -> None:
        """See Probe."""
        first = max(self.positions.start - start, 0)
        end = min(self.positions.stop - start, array.shape[1])
        if (point, layer) in self._places and first < end:
            part = np.array(host(float32(array[0, first:end])), np.float32)
            self._parts.setdefault((point, layer), []).append(part)

    def of(self, place: Place) -> Floats:
        """(positions, features), float32."""
        parts = self._parts[place]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


def kept(
    runner: Runner, ids: Sequence[int], places: Collection[Place], positions: range | None = None
) -> tuple[Kept, Array]:
    """What stands at some places while ids run, and the logits after them, (1, vocab)."""
    probe = Kept(range(len(ids)) if positions is None else positions, places)
    return probe, runner.prefill([ids], runner.new_state(), probe=probe)


def means(
    runner: Runner, texts: Sequence[tuple[Sequence[int], int]], places: Collection[Place]
) -> Mapping[Place, Floats]:
    """The mean over all tokens of some texts, (features,) of each place.

    texts: ids, and how many of the first of them are left out of it, not all.
    """
    sums = {
        (point, layer): np.zeros(features(point, runner.spec, layer)) for point, layer in places
    }
    for ids, first in texts:
        found, _ = kept(runner, ids, places, range(first, len(ids)))
        for place in places:
            sums[place] += found.of(place).sum(axis=0, dtype=np.float64)
    count = sum(len(ids) - first for ids, first in texts)
    return {place: (each / count).astype(np.float32) for place, each in sums.items()}


def drawn(
    runner: Runner,
    texts: Sequence[tuple[Sequence[int], int]],
    places: Collection[Place],
    count: int,
    seed: int,
) -> Mapping[Place, Floats]:
    """What stands at `count` tokens drawn from some texts, (count, features) of each place.

    They are the same tokens at every place. texts: as of `means`.
    """
    total = sum(len(ids) - first for ids, first in texts)
    picks = np.random.default_rng(seed).integers(total, size=count)
    found = {
        (point, layer): np.empty((count, features(point, runner.spec, layer)), np.float32)
        for point, layer in places
    }
    before = 0
    for ids, first in texts:
        own = len(ids) - first
        here = (picks >= before) & (picks < before + own)
        if here.any():
            read, _ = kept(runner, ids, places, range(first, len(ids)))
            for place in places:
                found[place][here] = read.of(place)[picks[here] - before]
        before += own
    return found
