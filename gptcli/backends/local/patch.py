"""Activations of one prompt put into the run of another."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from gptcli.backends.local import memory
from gptcli.backends.local.alignment import Pairs, Spans, pairs_of, spans_of
from gptcli.backends.local.open_model import OpenModel
from gptcli.backends.local.targets import Known, check_memory, known_of, scored, whole
from gptcli.plain import dataclass
from gptcli.types.events import Notice
from gptcli.types.patch import At, Direction, PatchAsked, Patched, PatchRequest, Place
from gptcli.types.why import Odds

if TYPE_CHECKING:
    from gptcli.engine.asking.prefix import PrefixCache
    from gptcli.engine.edits import Edit
    from gptcli.engine.points import Point
    from gptcli.engine.probes.kept import Kept

    Stood = tuple[Kept, Spans]

Rows = Sequence[Sequence[int]]


def answer(model: OpenModel, request: PatchRequest) -> Iterator[PatchAsked | Patched]:
    """See PatchRequest.

    Raises InputError for prompts that are the same or have nothing to align and for a target
    without a token, UsageError for a window without a position, ContextError, ResourceError where
    memory is short, and NonFiniteError.
    """
    from gptcli.engine.asking.prefix import PrefixCache

    clean = _known(model, request, request.clean, "--clean")
    corrupt = _known(model, request, request.corrupt, "--corrupt")
    pairs = pairs_of(request, clean.prompt, corrupt.prompt)
    prefix = PrefixCache(model.runner, comes_back=False)
    rows, logprobs = whole(prefix, clean.prompt, clean.rows, likeliest=request.target is None)
    # After the other prompt the same is asked: a named text as it is cut there.
    others = corrupt.rows if request.target is not None else [rows[0], *corrupt.rows]
    runs = [
        _Run(prefix, clean, rows),
        _Run(PrefixCache(model.runner, comes_back=False), corrupt, others),
    ]
    places = tuple(_places(model, request.at, None if request.together else len(pairs)))
    with_target = pairs[-1] == (len(clean.prompt) - 1, len(corrupt.prompt) - 1)
    with_target &= max(map(len, rows)) > 1 and others == rows
    _check_memory(model, request.at, pairs, rows if with_target else [])
    target, *versus = scored(model, rows, logprobs)
    asked = PatchAsked(
        request=request,
        source=model.source,
        layers=model.runner.spec.layers,
        clean=tuple(map(model.token, clean.prompt)),
        corrupt=tuple(map(model.token, corrupt.prompt)),
        pairs=tuple(pairs),
        places=places,
        target=target,
        versus=versus[0] if versus else None,
        corrupt_odds=runs[1].odds(),
        likeliest=request.target is None,
        with_target=with_target,
        notices=(*clean.notices, *corrupt.notices, *_unlike(rows, others)),
    )
    yield asked
    for direction in request.directions:
        yield from _patched(model, asked, direction, runs)


@dataclass(eq=False)
class _Run:
    """A prompt under way, and what is asked to follow it."""

    prefix: PrefixCache
    known: Known
    rows: list[list[int]]

    def odds(self) -> Odds:
        from gptcli.engine.asking.continuations import logprobs_after

        (found,) = logprobs_after(self.prefix, [self.known.prompt], [self.rows])
        return Odds(*map(math.fsum, found))


def _known(model: OpenModel, request: PatchRequest, prompt: str, subject: str) -> Known:
    known = known_of(
        model, prompt, request.target, request.versus, special=request.special, subject=subject
    )
    check_memory(model, known.prompt, known.rows)
    return known


_POINTS: Mapping[At, Point] = {
    "stream": "stream",
    "attention": "attention",
    "mlp": "mlp",
    "head": "heads",
}


def _places(model: OpenModel, at: At, pairs: int | None) -> Iterator[Place]:
    """Position by position, since a later one has more that need not be run again."""
    from gptcli.engine.points import heads_of, is_there

    spec, point = model.runner.spec, _POINTS[at]
    for pair in [None] if pairs is None else range(pairs):
        for layer in range(-1, spec.layers):
            if layer < 0 and at == "stream":
                yield Place(layer, pair)
            elif layer >= 0 and is_there(point, spec, layer):
                heads = range(heads_of(spec, layer)[0]) if at == "head" else [None]
                yield from (Place(layer, pair, head) for head in heads)


def _point(at: At, layer: int) -> tuple[Point, int]:
    return ("embedding", -1) if layer < 0 else (_POINTS[at], layer)


def _check_memory(model: OpenModel, at: At, pairs: Pairs, behind: Rows) -> None:
    from gptcli.engine.points import features

    runner = model.runner
    points = {_point(at, place.layer) for place in _places(model, at, None)}
    kept = sum(features(point, runner.spec, layer) for point, layer in points)
    tokens = max(a for a, _ in pairs) - min(a for a, _ in pairs) + 1 + sum(map(len, behind))
    memory.check("--clean", "its activations need", 4 * kept * tokens, runner.facts.device)


def _unlike(rows: Rows, others: Rows) -> Iterator[Notice]:
    if rows != others and max(map(len, (*rows, *others))) > 1:
        text = "is not of the same tokens after both prompts: none of its own are patched"
        yield Notice("target", text)


def _patched(
    model: OpenModel, asked: PatchAsked, direction: Direction, runs: Sequence[_Run]
) -> Iterator[Patched]:
    """Every place of a direction: a row for each, of the tokens from its position on, in batches as
    large as fill a pass; beside them the other prompt runs, and behind it each text that follows.
    """
    from gptcli.engine.probes.effects import Variant, effects
    from gptcli.engine.probes.kept import kept

    at, pairs = asked.request.at, asked.pairs
    origin, into = runs if direction == "denoise" else runs[::-1]
    own = list(pairs) if direction == "denoise" else [(b, a) for a, b in pairs]
    points = {_point(at, place.layer) for place in asked.places}
    there, _ = kept(model.runner, origin.known.prompt, points, range(own[0][0], own[-1][0] + 1))
    spans = spans_of(own)
    behind = _behind(model, points, origin, into) if asked.with_target else []

    def variant(place: Place) -> Variant:
        which = spans if place.pair is None else [(*own[place.pair], 1)]
        edits = _edits(model, at, place, (there, which))
        if place.pair not in (None, len(own) - 1):
            return Variant(edits)
        return Variant(edits, tuple(_edits(model, at, place, each) for each in behind))

    variants = map(variant, asked.places)
    number = 0
    for batch in effects(into.prefix, into.known.prompt, into.rows, variants):
        for each in batch:
            yield Patched(direction, number, Odds(*map(math.fsum, each)))
            number += 1


def _behind(
    model: OpenModel, points: Collection[tuple[Point, int]], origin: _Run, into: _Run
) -> list[Stood]:
    """What stood in the tokens of each text behind the prompt that what is put comes from.

    But in the last of them, behind which nothing is read.
    """
    from gptcli.engine.probes.kept import kept

    found: list[Stood] = []
    first = len(origin.known.prompt)
    for row in into.rows:
        ids = [*origin.known.prompt, *row[:-1]]
        spans = [(first, len(into.known.prompt), len(row) - 1)] if row[1:] else []
        found.append((kept(model.runner, ids, points, range(first, len(ids)))[0], spans))
    return found


def _edits(model: OpenModel, at: At, place: Place, stood: Stood) -> tuple[Edit, ...]:
    import numpy as np

    from gptcli.engine.edits import Edit
    from gptcli.engine.points import heads_of

    there, spans = stood
    point, layer = _point(at, place.layer)
    part = None
    if place.head is not None:
        _, size = heads_of(model.runner.spec, layer)
        part = range(place.head * size, (place.head + 1) * size)
    cut = slice(None) if part is None else slice(part.start, part.stop)

    def edit(first: int, second: int, count: int) -> Edit:
        begin = first - there.positions.start
        add = np.ascontiguousarray(there.of((point, layer))[begin : begin + count, cut])
        return Edit(point, layer, None, range(second, second + count), part, 0.0, add)

    return tuple(edit(*span) for span in spans)
