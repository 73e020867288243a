"""What a terminal shows while commands are typed and run in it: real output at a reader's pace."""

from __future__ import annotations

import os
import re
import shlex
import sys
from dataclasses import dataclass
from typing import Any

import pexpect
import pyte
from pyte.screens import Char

ROWS, COLUMNS = 22, 92
_TYPED, _WORD = 3, re.compile(r"\s*\S+\s*$|\s*\S+")
_TYPING_SECONDS, _WORD_SECONDS = 0.09, 0.08
_QUIET_SECONDS = 0.5
#: How rich makes text faint, which pyte has no name for: as bright black.
_FAINT, _BRIGHT_BLACK = 2, 90

Row = tuple[Char, ...]


@dataclass(frozen=True)
class Frame:
    """ROWS rows of COLUMNS characters, and for how long they stand."""

    rows: tuple[Row, ...]
    seconds: float


class _Screen(pyte.Screen):
    def select_graphic_rendition(self, *attributes: int, **rest: Any) -> None:
        found = [_BRIGHT_BLACK if each == _FAINT else each for each in attributes]
        super().select_graphic_rendition(*found, **rest)


class Recording:
    """A terminal, and its frames so far."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self._screen = _Screen(COLUMNS, ROWS)
        self._stream = pyte.Stream(self._screen)

    def type(self, command: str) -> None:
        """Clear the screen and type a command, some characters at a time."""
        self._stream.feed("\x1b[2J\x1b[H$ ")
        for start in range(0, len(command), _TYPED):
            self._keep(_TYPING_SECONDS, cursor=True)
            self._stream.feed(command[start : start + _TYPED])
        self._keep(0.6, cursor=True)
        self._stream.feed("\r\n")

    def run(self, command: str, seconds: float) -> None:
        """Run it, show its output word by word, and the end of it for so long."""
        for word in _WORD.findall(_output(command)):
            self._stream.feed(word)
            self._keep(_WORD_SECONDS)
        self._keep(seconds)

    def show(self, command: str, seconds: float) -> None:
        """Run it, and show all its output at once for so long."""
        self._stream.feed(_output(command))
        self._keep(seconds)

    def turn(self, command: str, pages: dict[int, float]) -> None:
        """Run what has pages, press the right arrow, and show some pages, each for so long."""
        process = _spawn(command)
        for page in range(1, max(pages) + 1):
            process.expect(rf"page {page} of")
            self._stream.feed(process.before + process.after)
            self._stream.feed(_rest(process))
            if page in pages:
                self._keep(pages[page])
            process.send("\x1b[C")
        process.close()

    def _keep(self, seconds: float, *, cursor: bool = False) -> None:
        buffer = self._screen.buffer
        rows = [[buffer[y][x] for x in range(COLUMNS)] for y in range(ROWS)]
        if cursor:
            at = self._screen.cursor
            rows[at.y][at.x] = rows[at.y][at.x]._replace(reverse=True)
        self.frames.append(Frame(tuple(map(tuple, rows)), seconds))


def _spawn(command: str) -> pexpect.spawn[str]:
    name, *arguments = shlex.split(command)
    assert name == "gptcli"
    return pexpect.spawn(
        sys.executable,
        ["-m", "gptcli", *arguments],
        dimensions=(ROWS, COLUMNS),
        encoding="utf-8",
        timeout=120,
        env={**os.environ, "TERM": "xterm-256color"},
    )


def _output(command: str) -> str:
    process = _spawn(command)
    process.expect(pexpect.EOF)
    process.close()
    assert process.exitstatus == 0, command
    return process.before


def _rest(process: pexpect.spawn[str]) -> str:
    """What still comes until the program waits for a key."""
    process.expect(pexpect.TIMEOUT, timeout=_QUIET_SECONDS)
    process.buffer = ""
    return process.before
