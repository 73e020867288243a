"""Numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Iterable

#: What stands in a table for what nobody told.
UNKNOWN = "–"


def size(count: float) -> str:
    """Bytes, in decimal units: 269 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def total_length(lengths: Iterable[float]) -> float:
    """Of vectors that stand at right angles to each other, how long all of them are together."""
    return math.hypot(*lengths)


def counted(count: int | None, name: str) -> str:
    """1 message, 2 messages."""
    return f"{UNKNOWN if count is None else count} {name}{'' if count == 1 else 's'}"


def seconds(value: float) -> str:
    """A duration: <1 ms, 85 ms, 1.24 s, 2 min 5 s."""
    if 0 < value < 0.0005:
        return "<1 ms"
    if value < 0.9995:
        return f"{value * 1000:.0f} ms"
    if value < 60:
        return f"{value:.2f} s"
    return f"{value // 60:.0f} min {value % 60:.0f} s"


def millions(count: int) -> str:
    """A number of parameters: 134.5 M, 8.03 B."""
    if count >= 1e9:
        return f"{count / 1e9:.2f} B"
    return f"{count / 1e6:.1f} M" if count >= 1e5 else f"{count:,}"


def percent(share: float | None) -> str:
    """A probability: 61.23%, 0.05%, <0.01%; 0% is nothing at all."""
    if share is None:
        return UNKNOWN
    if 0 < share < 5e-5:
        return "<0.01%"
    return f"{share * 100:.2f}%" if share else "0%"
