"""stderr: errors, hints and statistics, one line each, never part of a result."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, TextIO

from gptcli.types.events import Notice
from gptcli.ui.terminal.visible import one_line

if TYPE_CHECKING:
    from rich.console import Console


class Messages:
    """Lines for the person. `quiet` leaves errors alone."""

    def __init__(self, stream: TextIO, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self._stream = stream

    @cached_property
    def console(self) -> Console:
        """What draws the lines. Most commands have none to draw, and do without Rich."""
        from gptcli.ui.terminal.writer import plain_console

        return plain_console(self._stream, soft_wrap=True)

    @property
    def on_terminal(self) -> bool:
        """Whether a person sees the lines as they come."""
        return self._stream.isatty()

    def error(self, text: str) -> None:
        """`gptcli: error: <subject>: <reason>`."""
        self._line("error", text, "bold red")

    def hint(self, text: str) -> None:
        """Something that may explain a poor result."""
        if not self.quiet:
            self._line("hint", text, "yellow")

    def notices(self, found: Iterable[Notice]) -> None:
        """What came with an answer that a user should know, a hint each."""
        for notice in found:
            self.hint(f"{notice.subject}: {notice.text}")

    def info(self, text: str) -> None:
        """Something that happened."""
        if not self.quiet:
            self.always(text)

    def always(self, text: str) -> None:
        """Something that was asked for, so that `quiet` does not matter."""
        from rich.text import Text

        self.console.print(Text(f"gptcli: {one_line(text)}"))

    def report(self, lines: Iterable[str]) -> None:
        """Statistics and the like, which were asked for as well."""
        for line in lines:
            self.always(line)

    def end_line(self) -> None:
        """End a line that the terminal itself began, with ^C."""
        self.console.print()

    def _line(self, kind: str, text: str, style: str) -> None:
        from rich.text import Text

        line = Text("gptcli: ")
        line.append(f"{kind}:", style=style)
        line.append(f" {one_line(text)}")
        self.console.print(line)
