"""THE writer for terminals: control characters are shown, not obeyed, whatever is written."""

from __future__ import annotations

import os
from typing import TextIO

from gptcli.ui.terminal import paint
from gptcli.ui.terminal.stream import obeyed, variables_of
from gptcli.ui.terminal.visible import Neutral, one_line


def width_of(stream: TextIO) -> int:
    """How many cells a line of the terminal has: COLUMNS, else what it says, else 80.

    Rich takes every terminal with TERM=dumb for one of 80.
    """
    given = variables_of(stream).get("COLUMNS", "")
    if given.isascii() and given.isdigit() and int(given):
        return int(given)
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def height_of(stream: TextIO) -> int:
    """How many lines the terminal has, 24 where it does not say."""
    try:
        return os.get_terminal_size(stream.fileno()).lines or 24
    except (OSError, ValueError):
        return 24


def plain_console(
    stream: TextIO,
    *,
    width: int | None = None,
    height: int | None = None,
    soft_wrap: bool = False,
) -> paint.Console:
    """A Rich console that reads nothing into a text, coloured as the stream's variables say."""
    from gptcli.ui.terminal.console import HarmlessConsole

    return HarmlessConsole(
        stream,
        width=width,
        height=height,
        soft_wrap=soft_wrap,
        highlight=False,
        markup=False,
        _environ=variables_of(stream),
    )


class TerminalWriter:
    """Writes texts of unknown origin to a terminal, at once, styled where colours are wanted."""

    def __init__(self, stream: TextIO) -> None:
        # What is written here is neutral already.
        self._stream = obeyed(stream)
        # Of the size that the terminal has, also where TERM is dumb; Rich only believes a width
        # that comes with a height.
        width, height = width_of(stream), height_of(stream)
        self._console = plain_console(stream, width=width, height=height)
        self._neutral = Neutral()
        self._at_line_start = True

    def write(self, text: str, style: str | None = None) -> None:
        """A piece of running text, which the terminal may wrap as it likes."""
        if not text:
            return
        text = self._neutral(text)
        if style is None:
            self._stream.write(text)
        else:
            self._console.print(paint.Text(text), style=style, end="", soft_wrap=True)
        self._stream.flush()
        self._at_line_start = text.endswith("\n")

    def end_line(self) -> None:
        """Begin a new line, unless one has just begun."""
        if not self._at_line_start:
            self.write("\n")

    def line(self, text: str | paint.Text = "", style: str = "") -> None:
        """One line, which is not wrapped; an empty one without a text."""
        self._console.print(_text(text), style=style or None, soft_wrap=True)

    def paragraph(self, text: str | paint.Text, style: str = "") -> None:
        """Lines as wide as the terminal, broken at spaces."""
        self._console.print(_text(text), style=style or None)

    def draw(self, drawn: paint.ConsoleRenderable) -> None:
        """Something that Rich lays out, a table."""
        self._console.print(drawn)


def _text(text: str | paint.Text) -> paint.Text:
    return text if isinstance(text, paint.Text) else paint.Text(one_line(text))
