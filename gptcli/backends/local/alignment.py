"""Which positions of two prompts belong together."""

from __future__ import annotations

from collections.abc import Sequence

from gptcli.errors import InputError, UsageError
from gptcli.types.patch import Align, PatchRequest

Pairs = Sequence[tuple[int, int]]
#: First positions of both prompts, and how many from there on.
Spans = Sequence[tuple[int, int, int]]


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


def pairs_of(request: PatchRequest, clean: list[int], corrupt: list[int]) -> Pairs:
    """Aligned positions from the first on where anything differs, of the clean and the corrupt one.

    Raises InputError where nothing differs or nothing is aligned, UsageError for a window without
    a position.
    """
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


def spans_of(pairs: Pairs) -> list[tuple[int, int, int]]:
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
