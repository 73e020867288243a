"""One point of the pass in some layers, token by token: what is written down for other programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.arrays import Array, float32, host
from gptcli.engine.asking.continuations import ROWS
from gptcli.engine.model.spec import ModelSpec
from gptcli.engine.points import Point, features, is_there
from gptcli.engine.probe import EachRow
from gptcli.engine.runner import CHUNK, Runner

Floats = NDArray[np.float32]
#: Bytes of what is kept of texts that run together, and of their keys and values, which are padded
#: to at most twice as many; one alone may have more.
_BYTES = 64 << 20


def layers_with(spec: ModelSpec, point: Point) -> tuple[int, ...]:
    """The layers that have a point, -1 before the first: not all have an attention or an MLP."""
    return tuple(layer for layer in range(-1, spec.layers) if is_there(point, spec, layer))


def activations(
    runner: Runner, ids: Sequence[int], point: Point, layers: Sequence[int], *, first: int = 0
) -> Iterator[Floats]:
    """What a point of the layers has at the positions of a text from `first` on.

    Parts of (at most CHUNK, layers, numbers), in order; all of the layers have as many. The text
    runs in the parts in which any prompt does, so that the numbers are its own and memory does not
    grow with it.
    """
    state = runner.new_state()
    for start in range(0, len(ids), CHUNK):
        positions = range(max(start, first), min(start + CHUNK, len(ids)))
        if not positions:
            runner.prefill([ids[start : start + CHUNK]], state)
            continue
        probe = _Point(positions, point, layers, features(point, runner.spec, layers[0]))
        runner.prefill([ids[start : start + CHUNK]], state, probe=probe)
        yield probe.found


def of_texts(
    runner: Runner,
    texts: Iterable[tuple[Sequence[int], int]],
    point: Point,
    layers: Sequence[int],
) -> Iterator[tuple[int, Floats]]:
    """The number of a text and a part of its `activations`, text after text.

    texts: ids, and the first position that is wanted. Those that are short run together, where that
    changes no number: as many as fill a pass, of texts that follow each other.
    """
    numbers = len(layers) * features(point, runner.spec, layers[0])
    size = 4 * numbers + runner.spec.cache_bytes(1, runner.facts.itemsize, 1)
    most = min(_BYTES // size, CHUNK)
    group, tokens = list[tuple[int, Sequence[int], int]](), 0
    for number, (ids, first) in enumerate(texts):
        tokens += len(ids)
        longest = max(len(ids), *(len(each) for _, each, _ in group), 0)
        rows = min(ROWS if runner.facts.alike else 1, 2 * most // max(longest, 1))
        if group and (tokens > most or len(group) >= rows):
            yield from _together(runner, group, point, layers)
            group, tokens = [], len(ids)
        group.append((number, ids, first))
    yield from _together(runner, group, point, layers)


def _together(
    runner: Runner, group: list[tuple[int, Sequence[int], int]], point: Point, layers: Sequence[int]
) -> Iterator[tuple[int, Floats]]:
    if len(group) == 1:
        ((number, ids, first),) = group
        for part in activations(runner, ids, point, layers, first=first):
            yield number, part
    elif group:
        width = features(point, runner.spec, layers[0])
        probes = [_Point(range(first, len(ids)), point, layers, width) for _, ids, first in group]
        rows = [ids for _, ids, _ in group]
        runner.prefill(rows, runner.new_state(len(rows)), probe=EachRow(probes))
        for (number, _, _), probe in zip(group, probes, strict=True):
            yield number, probe.found


class _Point:
    """A probe that copies one point of some layers at some positions of one row."""

    def __init__(self, positions: range, point: Point, layers: Sequence[int], width: int) -> None:
        self.positions = positions
        self._point = point
        self._places = {layer: place for place, layer in enumerate(layers)}
        self.found = np.zeros((len(positions), len(layers), width), np.float32)

    def wants(self, point: Point, layer: int) -> bool:
        """See Probe."""
        return point == self._point and layer in self._places

    def __call__(self, point: Point, layer: int, array: Array, start: int) -> None:
        """See Probe."""
        first = max(self.positions.start, start)
        end = min(self.positions.stop, start + array.shape[1])
        if self.wants(point, layer) and first < end:
            rows = slice(first - self.positions.start, end - self.positions.start)
            found = host(float32(array[0, first - start : end - start]))
            self.found[rows, self._places[layer]] = found
