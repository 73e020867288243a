"""Layers by their numbers, as a command line names them."""

from __future__ import annotations

import re

from gptcli.config import option
from gptcli.plain import dataclass

_PART = re.compile(r"([0-9]{1,4})(?:-([0-9]{1,4}))?")


def layers(text: str) -> tuple[int, ...]:
    """`0,5-8` → 0, 5, 6, 7, 8, each once, in their order; none for `all`. Raises ValueError."""
    if text.strip() == "all":
        return ()
    found: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            reason = "must be whole numbers and ranges such as 0,5-8, or all"
            raise ValueError(f"{reason}, not {text!r:.60}")
        found.update(range(first, last + 1))
    return tuple(sorted(found))


@dataclass(frozen=True)
class Layers:
    """Some layers of a model."""

    layers: tuple[int, ...] = option(
        (),
        "Of these layers, from 0: 0,5-8. Default: all, of those that have the point.",
        metavar="N,N-N,…",
        brief="Of these layers, from 0.",
        parse=layers,
        joined=True,
    )
