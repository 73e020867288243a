"""Activations of one prompt put into the run of another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from gptcli.backends.local import memory
from gptcli.backends.local.open_model import OpenModel
from gptcli.backends.local.targets import Known, check_memory, known_of, scored, whole
from gptcli.errors import InputError, UsageError
from gptcli.plain import dataclass
from gptcli.types.patch import Align, At, Direction, PatchAsked, Patched, PatchRequest, Place
from gptcli.types.why import Odds

if TYPE_CHECKING:
    from gptcli.engine.asking.prefix import PrefixCache
    from gptcli.engine.edits import Edit
    from gptcli.engine.points import Point
    from gptcli.engine.probes.kept import Kept

Pairs = Sequence[tuple[int, int]]


def answer(model: OpenModel, request: PatchRequest) -> Iterator[PatchAsked | Patched]:
    """See PatchRequest.

    Raises InputError for prompts that are the same or have nothing to align and for a target
    without a token, UsageError for a window without a position, ContextError, ResourceError where
    memory is short, and NonFiniteError.
    """
    from gptcli.engine.asking.prefix import PrefixCache

    clean = _known(model, request, request.clean, "--clean")
    corrupt = _known(model, request, request.corrupt, "--corrupt")
    pairs = _pairs(request, clean.prompt, corrupt.prompt)
    runs = [_Run(PrefixCache(model.runner, comes_back=False), each) for each in (clean, corrupt)]
    rows, logprobs = whole(
        runs[0].prefix, clean.prompt, clean.rows, likeliest=request.target is None
    )
    runs[0].rows = rows
    # After the other prompt the same is asked: a named text as it is cut there.
    runs[1].rows = corrupt.rows if request.target is not None else [rows[0], *corrupt.rows]
    places = tuple(_places(model, request.at, None if request.together else len(pairs)))
    _check_memory(model, request.at, pairs)
    target, *versus = scored(model, rows, logprobs)
    yield PatchAsked(
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
        notices=(*clean.notices, *corrupt.notices),
    )
    for direction in request.directions:
        yield from _patched(model, request.at, direction, runs, pairs, places)


@dataclass(eq=False)
class _Run:
    """A prompt under way, and what is asked to follow it."""

    prefix: PrefixCache
    known: Known
    rows: list[list[int]] | None = None

    def odds(self) -> Odds:
        from gptcli.engine.asking.continuations import logprobs_after

        (found,) = logprobs_after(self.prefix, [self.known.prompt], [self.rows or []])
        return Odds(*map(math.fsum, found))


def _known(model: OpenModel, request: PatchRequest, prompt: str, subject: str) -> Known:
    known = known_of(
        model, prompt, request.target, request.versus, special=request.special, subject=subject
    )
    check_memory(model, known.prompt, known.rows)
    return known


def aligned(clean: Sequence[int], corrupt: Sequence[int], how: Align) -> list[tuple[int, int]]:
    """Positions of two prompts that belong together, in their order.

    "left" pairs them from the beginning, "right" from the end. "tokens" pairs what both begin with
    and what both end with, and what is between from its beginning on as far as both have it.
    """
    short = min(len(clean), len(corrupt))
    if how == "right":
        return [(len(clean) - at, len(corrupt) - at) for at in range(short, 0, -1)]
    if how == "left":
        return [(at, at) for at in range(short)]
    end = 0
    begin = next((at for at in range(short) if clean[at] != corrupt[at]), short)
    while end < short - begin and clean[-1 - end] == corrupt[-1 - end]:
        end += 1
    return [
        *((at, at) for at in range(short - end)),
        *aligned(clean, corrupt, "right")[short - end :],
    ]


def _pairs(request: PatchRequest, clean: list[int], corrupt: list[int]) -> Pairs:
    """Aligned positions from the first on where anything differs."""
    if clean == corrupt:
        raise InputError("--corrupt", "is the same as --clean, token for token")
    begin = next(
        (at for at, (a, b) in enumerate(zip(clean, corrupt, strict=False)) if a != b),
        min(len(clean), len(corrupt)),
    )
    every = aligned(clean, corrupt, request.align)
    # At the same place, behind the same tokens, nothing can differ.
    pairs = [(a, b) for a, b in every if a != b or a >= begin]
    if not pairs:
        hint = "--align right aligns their ends" if request.align != "right" else None
        raise InputError("--corrupt", "has no position that could differ from --clean", hint)
    if request.window.asked:
        window = request.window.of(len(clean))
        pairs = [(a, b) for a, b in pairs if a in window]
        if not pairs:
            first, last = min(a for a, _ in every), max(a for a, _ in every)
            reason = f"holds no aligned position behind the first difference, of {first} to {last}"
            raise UsageError("--window", reason)
    return pairs


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


def _check_memory(model: OpenModel, at: At, pairs: Pairs) -> None:
    from gptcli.engine.points import features

    runner = model.runner
    points = {_point(at, place.layer) for place in _places(model, at, None)}
    kept = sum(features(point, runner.spec, layer) for point, layer in points)
    tokens = max(a for a, _ in pairs) - min(a for a, _ in pairs) + 1
    memory.check("--clean", "its activations need", 4 * kept * tokens, runner.facts.device)


def _patched(
    model: OpenModel,
    at: At,
    direction: Direction,
    runs: Sequence[_Run],
    pairs: Pairs,
    places: Sequence[Place],
) -> Iterator[Patched]:
    """Every place of a direction, in batches."""
    from gptcli.engine.probes.effects import Variant, effects
    from gptcli.engine.probes.kept import kept

    origin, into = runs if direction == "denoise" else runs[::-1]
    own = list(pairs) if direction == "denoise" else [(b, a) for a, b in pairs]
    reach = range(min(a for a, _ in own), max(a for a, _ in own) + 1)
    points = {_point(at, place.layer) for place in places}
    there, _ = kept(model.runner, origin.known.prompt, points, reach)
    spans = _spans(own)

    def edits(place: Place) -> tuple[Edit, ...]:
        which = spans if place.pair is None else [(*own[place.pair], 1)]
        return tuple(_edit(model, at, place, there, span) for span in which)

    variants = (Variant(edits(place)) for place in places)
    number = 0
    for batch in effects(into.prefix, into.known.prompt, into.rows or [], variants):
        for each in batch:
            yield Patched(direction, number, Odds(*map(math.fsum, each)))
            number += 1


def _spans(pairs: Pairs) -> list[tuple[int, int, int]]:
    """(from, to, how many) of pairs that stand next to each other in both."""
    found: list[tuple[int, int, int]] = []
    for a, b in pairs:
        if found:
            first, second, count = found[-1]
            if (a, b) == (first + count, second + count):
                found[-1] = (first, second, count + 1)
                continue
        found.append((a, b, 1))
    return found


def _edit(model: OpenModel, at: At, place: Place, there: Kept, span: tuple[int, int, int]) -> Edit:
    import numpy as np

    from gptcli.engine.edits import Edit
    from gptcli.engine.points import heads_of

    first, second, count = span
    point, layer = _point(at, place.layer)
    part = None
    if place.head is not None:
        _, size = heads_of(model.runner.spec, layer)
        part = range(place.head * size, (place.head + 1) * size)
    cut = slice(None) if part is None else slice(part.start, part.stop)
    begin = first - there.positions.start
    add = np.ascontiguousarray(there.of((point, layer))[begin : begin + count, cut])
    return Edit(point, layer, None, range(second, second + count), part, 0.0, add)
