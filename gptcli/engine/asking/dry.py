"""DRY: a token that would go on with what was said before grows less likely, the longer that is.

By p-e-w (https://github.com/oobabooga/text-generation-webui/pull/5677), with llama.cpp's settings
and its way of reading them: sequences end at breakers, and only the last tokens are looked at.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from gptcli.engine import arrays
from gptcli.engine.arrays import Array, namespace
from gptcli.engine.asking.history import History
from gptcli.types.sampling import Sampling

#: The logarithm of the largest float32; a penalty's power does not pass it.
_LOG_MOST, _MOST = 88.7228391, 3e38
#: A base below this is as good as 1, whose powers are bounded.
_GROWS = 1.000001
Breaks = Mapping[int, Sequence[tuple[int, ...]]]


@arrays.quiet
def dry(logits: Array, sampling: Sampling, histories: Sequence[History]) -> Array:
    """Subtract multiplier × base ** (length − allowed length) where a token repeats a sequence."""
    xp = namespace(logits)
    logits = xp.asarray(logits, copy=True)
    for row, history in enumerate(histories):
        text = history.tail(sampling.dry_penalty_last_n)
        found = repeated(text, sampling.dry_allowed_length, sampling.breaks)
        if not found:
            continue
        amounts = [_penalty(sampling, length) for length in found.values()]
        ids = arrays.indices(list(found), logits)
        logits[row, ids] -= xp.asarray(amounts, dtype=logits.dtype, device=logits.device)
    return logits


def repeated(text: Sequence[int], allowed: int, breaks: Breaks) -> dict[int, int]:
    """The tokens that would repeat a sequence, and how long what they go on with is, at least
    `allowed` tokens.

    breaks: what begins in a token that breaks sequences, and is whole with one of these behind it;
    one that breaks them by itself is never found.
    """
    limit = _since_break(text, breaks)
    if len(text) <= allowed or limit < allowed:
        return {}
    back = text[::-1]
    found: dict[int, int] = {}
    for at, alike in enumerate(_alike(back)[1:], 1):
        length, token = min(alike, limit), back[at - 1]
        if length >= max(allowed, found.get(token, -1) + 1) and () not in breaks.get(token, ()):
            found[token] = length
    return found


def _since_break(text: Sequence[int], breaks: Breaks) -> int:
    """How many tokens stand behind the last breaker."""
    for behind, token in enumerate(reversed(text)):
        end = len(text) - behind
        whole = [
            len(tail)
            for tail in breaks.get(token, ())
            if tuple(text[end : end + len(tail)]) == tail
        ]
        if whole:
            return behind - max(whole)
    return len(text)


def _alike(ids: Sequence[int]) -> list[int]:
    """For each place how many ids from there on are those at the beginning: the Z-function.

    The stretch that reaches furthest to the right is remembered, so each id is compared but twice.
    """
    found = [0] * len(ids)
    start = end = 0
    for at in range(1, len(ids)):
        size = min(found[at - start], end - at) if at < end else 0
        while at + size < len(ids) and ids[size] == ids[at + size]:
            size += 1
        found[at] = size
        if at + size > end:
            start, end = at, at + size
    return found


def _penalty(sampling: Sampling, length: int) -> float:
    base, power = sampling.dry_base, length - sampling.dry_allowed_length
    most = int(_LOG_MOST / math.log(base)) if base > _GROWS else 0
    try:
        grown = base ** (min(power, most) if most else power)
    except OverflowError:
        grown = _MOST
    return min(sampling.dry_multiplier * grown, _MOST)
