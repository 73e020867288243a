"""Tokens in colours by one of their numbers: the text itself, a legend, numbers in cells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TextIO

from gptcli.types.score import TokenScore
from gptcli.ui.terminal.pieces import few_colours
from gptcli.ui.terminal.tables import Cell
from gptcli.ui.terminal.visible import neutral, visible
from gptcli.ui.views.measures import SURPRISAL, Measure, joint
from gptcli.ui.views.whole import Whole

#: The style of each step, in 256 colours and in eight. The foreground is set with the background,
#: so that it can be read on dark and on light terminals.
_STYLES = (
    ("", ""),
    ("black on color(230)", "black on white"),
    ("black on color(222)", "black on cyan"),
    ("black on color(215)", "black on yellow"),
    ("black on color(203)", "black on red"),
)
_UNSCORED = "dim"


class Palette:
    """The styles that a terminal has for the steps of a measure."""

    def __init__(self, stream: TextIO, measure: Measure = SURPRISAL) -> None:
        self.measure = measure
        self._styles = [style[few_colours(stream)] for style in _STYLES]

    def style(self, value: float | None) -> str:
        """The style for that much, or for a token that has no number."""
        step = self.measure.step(value)
        return _UNSCORED if step is None else self._styles[step]

    def cell(self, each: TokenScore | None) -> Cell:
        """A token's bits as a number."""
        if each is None:
            return Cell("")
        return Cell("–" if each.bits is None else f"{each.bits:.2f}", self.style(each.bits))

    def legend(self) -> Iterator[tuple[str, str]]:
        """Which style is for which step, in pieces."""
        yield f"{self.measure.name} ", "dim"
        for label, style in zip(self.measure.labels, self._styles, strict=True):
            # No-break spaces keep each piece whole where the line is wrapped.
            yield f" {label} ".replace(" ", "\u00a0"), style
            yield " ", ""

    def coloured(self, tokens: Iterable[TokenScore]) -> Iterator[tuple[str, str]]:
        """The text in pieces: whole characters, with the style of their tokens' bits."""
        for data, bits in characters(tokens):
            try:
                text = neutral(data.decode())
            except UnicodeDecodeError:
                text = visible(data)
            yield from marked(text, self.style(bits))


def marked(text: str, style: str) -> Iterator[tuple[str, str]]:
    """A text with its style: a newline is marked by ⏎, which has the style, and stays."""
    for number, part in enumerate(text.split("\n")):
        if number:
            yield "⏎", style
            yield "\n", ""
        yield part, style


def characters(tokens: Iterable[TokenScore]) -> Iterator[tuple[bytes, float | None]]:
    """The bytes and bits of each token; tokens that share a character are taken together.

    The bits of several are their sum, None where one of them was not scored.
    """
    whole = Whole[TokenScore]()
    for each in tokens:
        for data, group in whole.feed(each.token.bytes, each):
            yield data, joint(SURPRISAL, [token.bits for token in group])
    for data, group in whole.finish():
        yield data, joint(SURPRISAL, [token.bits for token in group])
