"""A menu of next tokens: a person moves to one and takes it."""

from __future__ import annotations

from typing import TextIO

from gptcli.types.constraints import STAGE, Constraint
from gptcli.types.next_tokens import Candidate, Distribution
from gptcli.ui.terminal import paint
from gptcli.ui.terminal.keys import Keys
from gptcli.ui.terminal.tables import lines
from gptcli.ui.terminal.visible import ending, one_line, plainly, shortened
from gptcli.ui.terminal.writer import height_of, plain_console, width_of
from gptcli.ui.views.next_tokens import terminal_table
from gptcli.ui.views.source import where

_HELP = "↑ ↓ move, Enter takes, q leaves"
#: Lines that the menu needs beside its rows: heads, help, the text so far, where the cursor goes.
_AROUND = 4


class Picker:
    """The menu, on the terminal while the context lasts, and gone without a trace after it."""

    def __init__(self, stream: TextIO, keys: Keys) -> None:
        self._stream, self._keys = stream, keys
        # Not the size of now: the terminal may be resized.
        console = plain_console(stream)
        self._live = paint.Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Picker:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def pick(
        self, distribution: Distribution, text: str, constraint: Constraint | None = None
    ) -> Candidate | None:
        """The candidate that is taken, None where the person leaves; `text` stands so far.

        One that the constraint forbids cannot be taken, and the menu says so.
        """
        chosen, said = 0, ""
        last = len(distribution.candidates) - 1
        while True:
            menu = _menu(self._stream, distribution, text, chosen, said)
            self._live.update(menu, refresh=True)
            key, said = self._keys.read(), ""
            candidate = distribution.candidates[chosen]
            if key == "enter" and constraint is not None and candidate.cut_by == STAGE:
                reason = constraint.forbidden(candidate.token.text)
                said = f"{constraint.flag} {reason}"
                continue
            if key == "enter":
                return candidate
            if key == "leave":
                return None
            places = {
                "first": 0,
                "last": last,
                "up": max(chosen - 1, 0),
                "down": min(chosen + 1, last),
            }
            chosen = places.get(key or "", chosen)


def _menu(
    stream: TextIO, distribution: Distribution, text: str, chosen: int, said: str
) -> paint.Group:
    width = width_of(stream)
    # Two cells for the pointer, and the last one stays free: some terminals wrap at once.
    table = lines(*terminal_table(distribution, width), max(width - 3, 1))
    height = max(height_of(stream) - _AROUND, 1)
    start = min(max(chosen - height // 2, 0), max(len(table) - 1 - height, 0))
    shown = [paint.Text("  ") + table[0]]
    for place, line in enumerate(table[1:][start : start + height], start):
        here = place == chosen
        row = paint.Text("❯ " if here else "  ", style="bold" if here else "") + line
        if here:
            row.stylize("reverse", 2)
        shown.append(row)
    parts = [
        paint.Text(ending(plainly(text), width - 1)),
        *shown,
        paint.Text(
            shortened(said or f"{_HELP}; {one_line(where(distribution.source))}", width - 1),
            style="bold" if said else "dim",
        ),
    ]
    for part in parts:
        part.no_wrap, part.overflow, part.end = True, "crop", "\n"
    return paint.Group(*parts)
