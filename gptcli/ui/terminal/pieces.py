"""Running text whose pieces have styles: wrapped by us, so that no colour runs on to the margin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO

from gptcli.ui.terminal import paint
from gptcli.ui.terminal.writer import TerminalWriter, plain_console


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
