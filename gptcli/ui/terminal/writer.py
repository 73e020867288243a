"""THE writer for terminals: control characters are shown, not obeyed, whatever is written."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, TextIO

from rich.console import Console, ConsoleRenderable
from rich.segment import Segment
from rich.text import Text

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


class _Console(Console):
    """A console that draws no text but a harmless one, by whatever way it came.

    A view makes its texts visible itself, where it knows how wide they may be. This is the net
    below it, for a view that forgets to; isolates may pass, which views set.
    """

    def __init__(self, stream: TextIO, **settings: Any) -> None:
        super().__init__(file=obeyed(stream), **settings)
        self._net = Neutral(isolates=True)

    def _render_buffer(self, buffer: Iterable[Segment]) -> str:
        # All that Rich writes comes through here: styles and moves of the cursor become escape
        # sequences now, beside texts that have none any more.
        return super()._render_buffer(self._harmless(each) for each in buffer)

    def _harmless(self, each: Segment) -> Segment:
        return each if each.control else Segment(self._net(each.text), each.style)


def plain_console(
    stream: TextIO,
    *,
    width: int | None = None,
    height: int | None = None,
    soft_wrap: bool = False,
) -> Console:
    """A Rich console that reads nothing into a text, coloured as the stream's variables say."""
    return _Console(
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
            self._console.print(Text(text), style=style, end="", soft_wrap=True)
        self._stream.flush()
        self._at_line_start = text.endswith("\n")

    def end_line(self) -> None:
        """Begin a new line, unless one has just begun."""
        if not self._at_line_start:
            self.write("\n")

    def line(self, text: str | Text = "", style: str = "") -> None:
        """One line, which is not wrapped; an empty one without a text."""
        self._console.print(_text(text), style=style or None, soft_wrap=True)

    def paragraph(self, text: str | Text, style: str = "") -> None:
        """Lines as wide as the terminal, broken at spaces."""
        self._console.print(_text(text), style=style or None)

    def draw(self, drawn: ConsoleRenderable) -> None:
        """Something that Rich lays out, a table."""
        self._console.print(drawn)


def _text(text: str | Text) -> Text:
    return text if isinstance(text, Text) else Text(one_line(text))
