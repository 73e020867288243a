"""The end of a text that was cut off: the least that makes it whole."""

from __future__ import annotations

import heapq
from collections import Counter
from itertools import count

from gptcli.engine.asking.constraining.guard import Guard
from gptcli.engine.asking.constraining.words import WHITE, Words
from gptcli.errors import InputError
from gptcli.types.constraints import MOST_MISSING

#: Places that are looked at, and of those that a step other than the first way led to so many where
#: the same may come: they mostly lead to the same.
_PLACES, _ALIKE = 1500, 24
#: Tokens that are looked at for a way on, all of one byte; of a kind all are tried where they are
#: few, else one.
_LOOKED_AT, _FEW = 256, 3
#: What a step costs, beside 1 for one that is not the first way: little where there is no other.
_STEP, _FORCED = 0.3, 0.01


def closing(guard: Guard, words: Words) -> bytes | None:
    """Bytes after which the text of `guard` is whole; None where none were found.

    Few of them, if not the fewest: always the first way on, which closes something before it goes
    on with another mark, a digit or a letter, and with white space only where there is nothing
    else; where that leads to no end soon, with the fewest steps that are others.
    """
    try:
        return _straight(guard.copy(), words) or _around(guard, words)
    except InputError:
        return None


def _straight(guard: Guard, words: Words) -> bytes | None:
    text = b""
    while not guard.whole:
        ways = _ways(guard, words)
        if not ways or len(text) > MOST_MISSING:
            return None
        guard.take(ways[0])
        text += words.pieces[ways[0]]
    return text


def _around(guard: Guard, words: Words) -> bytes | None:
    numbers = count()
    left = [(0.0, next(numbers), b"", guard, -1, False)]
    seen = Counter[bytes]()
    for _ in range(_PLACES):
        if not left:
            return None
        cost, _, text, before, token, other = heapq.heappop(left)
        here = before.copy()
        if token >= 0:
            here.take(token)
        if here.whole:
            return text
        if len(text) > MOST_MISSING or here.mask is None:
            continue
        if other:
            seen[key := here.mask.tobytes()] += 1
            if seen[key] > _ALIKE:
                continue
        ways = _ways(here, words)
        step = _STEP if len(ways) > 1 else _FORCED
        for place, way in enumerate(ways):
            piece = words.pieces[way]
            # Of equals the one that was found first.
            row = (cost + step + (place > 0), next(numbers), text + piece, here, way, place > 0)
            heapq.heappush(left, row)
    return None


def _ways(guard: Guard, words: Words) -> list[int]:
    """Tokens to go on with: the longest where bytes are forced, else some of each kind."""
    mask = guard.mask
    if mask is None:
        return []
    may = mask[words.shortest]
    allowed, kinds = words.shortest[may], words.kinds[may]
    forced = guard.forced()
    if forced:
        fitting = [int(each) for each in allowed if forced.startswith(words.pieces[each])]
        if fitting:
            return [max(fitting, key=lambda each: len(words.pieces[each]))]
    allowed, kinds = allowed[:_LOOKED_AT].tolist(), kinds[:_LOOKED_AT].tolist()
    sizes, tried, found = Counter(kinds), set[int](), list[int]()
    for token, kind in zip(allowed, kinds, strict=True):
        if sizes[kind] <= _FEW or kind not in tried:
            tried.add(kind)
            if kind != WHITE or len(sizes) == 1:
                found.append(token)
    return found
