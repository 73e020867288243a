"""Running text whose pieces have styles: wrapped by us, so that no colour runs on to the margin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TextIO

from rich.cells import cell_len

from gptcli.ui.terminal import paint
from gptcli.ui.terminal.writer import TerminalWriter, plain_console, width_of


def has_colour(stream: TextIO) -> bool:
    """Whether styles are seen: not with NO_COLOR, not on a dumb terminal."""
    console = plain_console(stream)
    return console.color_system is not None and not console.no_color


def few_colours(stream: TextIO) -> bool:
    """Whether the terminal has the eight basic colours and no more."""
    return plain_console(stream).color_system == "standard"


def print_pieces(stream: TextIO, pieces: Iterable[tuple[str, str]]) -> None:
    """(text, style) after (text, style), words wrapped at the terminal's width.

    A newline in a text begins a new line; the last line is ended. Texts must be `neutral` or
    `visible` already: what keeps right-to-left words apart has to pass.
    """
    writer = TerminalWriter(stream)
    line = paint.Text(overflow="fold")
    for text, style in pieces:
        first, *others = text.split("\n")
        line.append(first, style)
        for other in others:
            writer.paragraph(line)
            line = paint.Text(overflow="fold")
            line.append(other, style)
    if line:
        writer.paragraph(line)


class StreamedPieces:
    """Pieces that are written as they come, folded at the margin by us as well."""

    def __init__(self, stream: TextIO) -> None:
        self._writer = TerminalWriter(stream)
        self._width = width_of(stream)
        self._column = 0

    def add(self, text: str, style: str = "") -> None:
        """A piece, which must be `neutral` already."""
        for number, part in enumerate(text.split("\n")):
            if number:
                self._new_line()
            for fitting in self._folded(part):
                self._writer.write(fitting, style or None)

    def end_line(self) -> None:
        """Begin a new line, unless one has just begun."""
        if self._column:
            self._new_line()

    def _new_line(self) -> None:
        self._writer.write("\n")
        self._column = 0

    def _folded(self, text: str) -> Iterator[str]:
        """The text in parts, each of which has room where it is written."""
        word = text.lstrip(" ")
        room = self._width - self._column
        if len(word) < len(text) and cell_len(text) > room and cell_len(word) <= self._width:
            # A word that begins here had better begin below.
            yield from self._letters(text[: len(text) - len(word)])
            self.end_line()
            text = word
        yield from self._letters(text)

    def _letters(self, text: str) -> Iterator[str]:
        line = ""
        for letter in text:
            # A tab goes to its next stop.
            cells = 8 - self._column % 8 if letter == "\t" else cell_len(letter)
            if self._column + cells > self._width:
                yield line
                line = ""
                self._new_line()
            line += letter
            self._column += cells
        yield line
