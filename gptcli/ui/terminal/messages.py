"""stderr: errors, hints and statistics, one line each, never part of a result."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO

from rich.text import Text

from gptcli.types.events import Notice
from gptcli.ui.terminal.visible import one_line
from gptcli.ui.terminal.writer import plain_console


class Messages:
    """Lines for the person. `quiet` leaves errors alone."""

    def __init__(self, stream: TextIO, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.console = plain_console(stream, soft_wrap=True)

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
        self.console.print(Text(f"gptcli: {one_line(text)}"))

    def report(self, lines: Iterable[str]) -> None:
        """Statistics and the like, which were asked for as well."""
        for line in lines:
            self.always(line)

    def _line(self, kind: str, text: str, style: str) -> None:
        line = Text("gptcli: ")
        line.append(f"{kind}:", style=style)
        line.append(f" {one_line(text)}")
        self.console.print(line)
