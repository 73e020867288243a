"""The writer for terminals: control characters are shown, not obeyed."""

from __future__ import annotations

import os
import re
from typing import TextIO

from rich.console import Console
from rich.text import Text

from gptcli.ui.terminal.stream import variables_of

# C0 but newline and tab, DEL, C1, and the characters that reorder or hide text (bidi controls,
# line and paragraph separators, zero-width no-break space, tags).
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def neutral(text: str) -> str:
    """The text with every control character but newline and tab spelled out."""
    return _UNSAFE.sub(_escape, text)


def one_line(text: str) -> str:
    """As `neutral`, newlines and tabs spelled out as well."""
    return neutral(text).replace("\n", "\\n").replace("\t", "\\t")


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


def console_for(stream: TextIO) -> Console:
    """A Rich console of the size that the terminal has, also where TERM is dumb.

    Rich only believes a width that comes with a height.
    """
    return plain_console(stream, width=width_of(stream), height=height_of(stream))


def plain_console(
    stream: TextIO,
    *,
    width: int | None = None,
    height: int | None = None,
    soft_wrap: bool = False,
) -> Console:
    """A Rich console that reads nothing into a text, coloured as the stream's variables say."""
    return Console(
        file=stream,
        width=width,
        height=height,
        soft_wrap=soft_wrap,
        highlight=False,
        markup=False,
        _environ=variables_of(stream),
    )


class TerminalWriter:
    """Writes texts of unknown origin to a terminal, at once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._styled = plain_console(stream, soft_wrap=True)
        self._at_line_start = True

    def write(self, text: str, style: str | None = None) -> None:
        """The text, neutralised; with a style where colours are wanted."""
        if not text:
            return
        text = neutral(text)
        if style is None:
            self._stream.write(text)
        else:
            self._styled.print(Text(text), style=style, end="")
        self._stream.flush()
        self._at_line_start = text.endswith("\n")

    def end_line(self) -> None:
        """Begin a new line, unless one has just begun."""
        if not self._at_line_start:
            self.write("\n")
