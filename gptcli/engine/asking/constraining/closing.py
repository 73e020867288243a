"""The end of a text that was cut off: the least that makes it whole."""

from __future__ import annotations

import heapq
from itertools import count

import numpy as np

from gptcli.engine.asking.constraining.guard import Guard
from gptcli.engine.asking.constraining.words import Words
from gptcli.errors import InputError
from gptcli.types.constraints import MOST_MISSING

#: Places that are looked at, and ways that are tried from each.
_PLACES, _WAYS = 400, 12
_STEP = 0.4


def closing(guard: Guard, words: Words) -> bytes | None:
    """Bytes after which the text of `guard` is whole; None where none were found.

    Few, and of like ways those that close something, then digits and letters before other
    characters. Where that leads nowhere soon, the first way is followed to its end.
    """
    found = _few(guard.copy(), words)
    return _first(guard.copy(), words) if found is None else found


def _few(guard: Guard, words: Words) -> bytes | None:
    numbers = count()
    left = [(0.0, next(numbers), b"", guard)]
    for _ in range(_PLACES):
        if not left:
            break
        cost, _, text, here = heapq.heappop(left)
        if here.whole:
            return text
        try:
            ways = _ways(here, words, _WAYS)
        except InputError:
            continue
        for place, token in enumerate(ways):
            there, piece = here.copy(), words.pieces[token]
            there.take(token)
            # Each step down the list costs something: by length alone too much is looked at.
            more = len(piece) + place * _STEP
            heapq.heappush(left, (cost + more, next(numbers), text + piece, there))
    return None


def _first(guard: Guard, words: Words) -> bytes | None:
    text = b""
    try:
        while not guard.whole:
            ways = _ways(guard, words, 1)
            if not ways or len(text) > MOST_MISSING:
                return None
            guard.take(ways[0])
            text += words.pieces[ways[0]]
    except InputError:
        return None
    return text


def _ways(guard: Guard, words: Words, most: int) -> list[int]:
    """Tokens to go on with: the longest where bytes are forced, else the shortest ones."""
    mask = guard.mask
    if mask is None:
        return []
    allowed = words.shortest[mask[words.shortest]]
    forced = guard.forced()
    if forced:
        fitting = [int(each) for each in allowed if forced.startswith(words.pieces[each])]
        if fitting:
            return [max(fitting, key=lambda each: len(words.pieces[each]))]
    return list(map(int, np.asarray(allowed[:most])))
