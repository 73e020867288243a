"""Bars of eighth blocks, lying and standing."""

from __future__ import annotations

from collections.abc import Sequence

_EIGHTHS = " ▏▎▍▌▋▊▉"
_HEIGHTS = " ▁▂▃▄▅▆▇█"


def bar(share: float, width: int) -> str:
    """A bar that fills `share` (0 to 1) of `width` cells; more than nothing is always seen."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    if share > 0 and width > 0:
        eighths = max(eighths, 1)
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[rest] if rest else "")


def columns(shares: Sequence[float], width: int, height: int) -> list[str]:
    """Columns beside each other, `width` cells each and one of them a gap where there are more
    than one; lines from the top. Every column is seen, also one of nothing.
    """
    lines = []
    for line in range(height - 1, -1, -1):
        text = ""
        for share in shares:
            eighths = max(round(min(max(share, 0.0), 1.0) * height * 8), 1)
            part = min(max(eighths - line * 8, 0), 8)
            text += _HEIGHTS[part] * max(width - 1, 1) + " " * (width > 1)
        lines.append(text)
    return lines
