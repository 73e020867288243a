"""Surprisal in colours: the text itself, a legend, numbers in cells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO

from gptcli.types.score import TokenScore
from gptcli.ui.terminal.pieces import few_colours
from gptcli.ui.terminal.tables import Cell
from gptcli.ui.terminal.visible import neutral, visible

#: From how many bits on a token has a style, in 256 colours and in eight. The foreground is set
#: with the background, so that it can be read on dark and on light terminals.
_STEPS = (
    (0.0, "", ""),
    (2.0, "black on color(230)", "black on white"),
    (5.0, "black on color(222)", "black on cyan"),
    (8.0, "black on color(215)", "black on yellow"),
    (12.0, "black on color(203)", "black on red"),
)
_UNSCORED = "dim"


class Palette:
    """The styles that a terminal has for numbers of bits."""

    def __init__(self, stream: TextIO) -> None:
        place = 2 if few_colours(stream) else 1
        self._styles = [(step[0], str(step[place])) for step in _STEPS]

    def style(self, bits: float | None) -> str:
        """The style for that many bits, or for a token that was not scored."""
        if bits is None:
            return _UNSCORED
        return max((step for step in self._styles if step[0] <= bits), default=("", ""))[1]

    def cell(self, each: TokenScore | None) -> Cell:
        """A token's bits as a number."""
        if each is None:
            return Cell("")
        return Cell("–" if each.bits is None else f"{each.bits:.2f}", self.style(each.bits))

    def legend(self) -> Iterator[tuple[str, str]]:
        """Which style is for how many bits, in pieces."""
        yield "bits ", "dim"
        for (low, style), following in zip(self._styles, [*self._styles[1:], None], strict=True):
            high = "+" if following is None else f"–{following[0]:g}"
            # No-break spaces keep each piece whole where the line is wrapped.
            yield f"\u00a0{low:g}{high}\u00a0", style
            yield " ", ""

    def coloured(self, tokens: Iterable[TokenScore]) -> Iterator[tuple[str, str]]:
        """The text in pieces: whole characters, with the style of their tokens' bits.

        A newline is marked by ⏎, which has the style, and stays.
        """
        for data, bits in characters(tokens):
            style = self.style(bits)
            try:
                text = neutral(data.decode())
            except UnicodeDecodeError:
                text = visible(data)
            for number, part in enumerate(text.split("\n")):
                if number:
                    yield "⏎", style
                    yield "\n", ""
                yield part, style


def characters(tokens: Iterable[TokenScore]) -> Iterator[tuple[bytes, float | None]]:
    """The bytes and bits of each token; tokens that share a character are taken together.

    The bits of several are their sum, None where one of them was not scored.
    """
    group: list[TokenScore] = []
    data = b""
    for each in tokens:
        group.append(each)
        data += each.token.bytes
        if not _is_cut(data):
            yield data, _sum(group)
            group, data = [], b""
    if group:
        yield data, _sum(group)


def _sum(group: Sequence[TokenScore]) -> float | None:
    bits = [each.bits for each in group if each.bits is not None]
    return sum(bits) if len(bits) == len(group) else None


def _is_cut(data: bytes) -> bool:
    """Whether the bytes end within a character that more bytes could complete."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"
    return False
