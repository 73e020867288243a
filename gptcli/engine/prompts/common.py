"""What two texts have in common."""

from __future__ import annotations

from collections.abc import Sequence

#: Ids that are compared as one.
_AT_ONCE = 256


def common_length(one: Sequence[int], other: Sequence[int]) -> int:
    """How many ids both begin with."""
    shorter = min(len(one), len(other))
    for start in range(0, shorter, _AT_ONCE):
        end = min(start + _AT_ONCE, shorter)
        if one[start:end] != other[start:end]:
            for at in range(start, end):
                if one[at] != other[at]:
                    return at
    return shorter
