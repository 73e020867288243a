"""A heat map of signed numbers: rows under heads, in bands where the terminal is narrow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TextIO

from gptcli.plain import dataclass
from gptcli.ui.terminal import paint
from gptcli.ui.terminal.heat import Heat
from gptcli.ui.terminal.visible import isolated, shortened
from gptcli.ui.terminal.writer import TerminalWriter, width_of

#: Cells of a column with a number in it, and at most; and of one without.
_NUMBER, _MOST, _LEAST = 6, 10, 2
_UNKNOWN = "·"


@dataclass(frozen=True)
class HeatMap:
    """Values under heads, None where there is none.

    heads: lines of them, the last next to the values. text: a value in few characters; share: its
    colour, from -1 to 1.
    """

    corner: str
    heads: Sequence[Sequence[str]]
    rows: Sequence[tuple[str, Sequence[float | None]]]
    text: Callable[[float], str]
    share: Callable[[float], float]

    def draw(self, stream: TextIO) -> None:
        """Lines, none of which breaks."""
        names = [self.corner, *(name for name, _ in self.rows)]
        label = min(max(map(paint.cell_len, names)), max(width_of(stream) // 4, 4))
        room = max(width_of(stream) - label, 1)
        count, heat, writer = len(self.heads[-1]), Heat(stream), TerminalWriter(stream)
        cells = max(min(room // max(count, 1), _MOST), _NUMBER)
        if cells * count > room and heat.colour and count * _LEAST <= room:
            cells = min(room // count, _NUMBER - 1)
        across = max(room // cells, 1)
        for start in range(0, count, across):
            if start:
                writer.line()
            band = slice(start, start + across)
            for at, heads in enumerate(self.heads):
                name = self.corner if at == len(self.heads) - 1 else ""
                line = self._label(name, label)
                for head in heads[band]:
                    line.append(_head(head, cells), style="dim")
                writer.line(line)
            for name, values in self.rows:
                line = self._label(name, label)
                for value in values[band]:
                    line.append(*self._cell(heat, value, cells))
                writer.line(line)

    def _label(self, name: str, width: int) -> paint.Text:
        text = shortened(name, width)
        pad = " " * (width - paint.cell_len(text))
        return paint.Text(pad + isolated(text), style="not bold", no_wrap=True, end="")

    def _cell(self, heat: Heat, value: float | None, cells: int) -> tuple[str, str]:
        if value is None:
            return _UNKNOWN.rjust(cells), "dim"
        text = self.text(value) if cells >= _NUMBER else ""
        return shortened(text, cells - 1).rjust(cells), heat.tint(self.share(value))


def _head(head: str, cells: int) -> str:
    room = cells - 1
    # Of a number that is too long the last digits tell columns apart.
    text = head[-room:] if head.isdigit() else shortened(head, room)
    return " " * (cells - paint.cell_len(text)) + isolated(text)


def signed(value: float) -> str:
    """A change in at most five characters, as far as that can be."""
    return f"{value:+.2f}" if abs(value) < 9.995 else f"{value:+.1f}"[:5].rstrip(".")
