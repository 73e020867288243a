"""Words of any script, broken into lines."""

from __future__ import annotations

import re

from gptcli.ui.terminal import paint

#: A word with the space after it, or one wide character; closing punctuation stays with what it
#: follows, opening punctuation with what follows it (the rules for Chinese lines).
_UNIT = re.compile(
    r"[「『（《“‘]*(?:[^\s\u2e80-\u9fff\uff00-\uffef「『（《“‘」』）》”’]+|[\u2e80-\u2fff\u3040-\u9fff])?"
    r"[」』）》”’，。、：；？！…]*\s*|\S\s*"
)


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` cells."""
    lines, line = [], ""
    for unit in _UNIT.findall(text):
        if line and paint.cell_len(line) + paint.cell_len(unit.rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        while paint.cell_len(unit.rstrip()) > width:
            part = unit[:1]
            while paint.cell_len(part + unit[len(part)]) <= width:
                part += unit[len(part)]
            lines.append(part)
            unit = unit[len(part) :]
        line += unit
    return [*lines, line.rstrip()] if line.strip() else lines
