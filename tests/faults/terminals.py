"""A terminal that is watched: what a person sees on it, and whatever drives it."""

from __future__ import annotations

import os
import pty
import re
import threading
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyte

from gptcli.cli.boundary import main
from gptcli.cli.environment import Environment

COLUMNS, LINES = 100, 50
#: All that Rich, our menus and pages draw with: colours but none that hide (8), moves of the
#: cursor, erasing, the cursor's and the alternate screen's switches.
OURS = re.compile(
    r"\x1b\[(?:0|1|2|3|7|[34][0-7]|[39][0-7]|[34]8;5;\d+|;)*m|\x1b\[(?:\d*[AKG]|[012]?K|H)|\r(?=\n|\x1b)"
    r"|\x1b\[\?(?:25|1049)[hl]|\x1b\[2K"
)
#: What takes no room and is no format character to Unicode; what chooses the look of an emoji is
#: looked at by the tests of what stays.
_HIDDEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\ufe00-\ufe0d\U000e0100-\U000e01ef]"
)
#: Format characters that are seen: Unicode's Prepended_Concatenation_Mark, the signs of numbers.
_SEEN = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2"


def drives(text: str) -> list[str]:
    """Each character of a text that would drive a terminal, reorder or hide what is on it."""
    left = OURS.sub("", text)
    return [
        each
        for each in left
        if (
            unicodedata.category(each) in ("Cc", "Cf", "Zl", "Zp", "Cs")
            and each not in f"\n\t{_SEEN}"
        )
        or _HIDDEN.match(each)
    ]


def drives_us(text: str) -> list[str]:
    """The same of our own output, in which words from the right are isolated (U+2068, U+2069)."""
    return [each for each in drives(text) if each not in "\u2068\u2069"]


class _Screen(pyte.Screen):
    """A screen that remembers what it was told beside texts."""

    def __init__(self) -> None:
        super().__init__(COLUMNS, LINES)
        self.replies: list[str] = []
        self.told: list[str] = []

    def write_process_input(self, data: str) -> None:
        self.replies.append(data)

    def bell(self, *_: Any) -> None:
        self.told.append("bell")

    def define_charset(self, *_: Any, **__: Any) -> None:
        self.told.append("charset")

    def set_margins(self, *_: Any, **__: Any) -> None:
        self.told.append("margins")

    def reset(self) -> None:
        super().reset()
        getattr(self, "told", []).append("reset")


@dataclass(frozen=True)
class State:
    """What a terminal is like beside what stands on it."""

    title: str
    icon: str
    modes: frozenset[int]
    replies: tuple[str, ...]
    told: tuple[str, ...]


def state(text: str) -> State:
    """A terminal to which a text was written."""
    screen = _Screen()
    screen.told.clear()
    pyte.Stream(screen).feed(text.replace("\n", "\r\n"))
    modes = frozenset(screen.mode)
    return State(screen.title, screen.icon_name, modes, tuple(screen.replies), tuple(screen.told))


#: A terminal to which nothing was written.
UNTOUCHED = state("")


@contextmanager
def terminal() -> Iterator[tuple[int, Callable[[], str]]]:
    """A pseudo-terminal's end for programs, and what gives all that was written to it."""
    ours, theirs = pty.openpty()
    parts: list[bytes] = []

    def read() -> None:
        while True:
            try:
                data = os.read(ours, 1 << 16)
            except OSError:
                return
            if not data:
                return
            parts.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    closed = False

    def written() -> str:
        nonlocal closed
        if not closed:
            closed = True
            os.close(theirs)
            reader.join()
        return b"".join(parts).decode()

    try:
        yield theirs, written
    finally:
        written()
        os.close(ours)


def shown(*argv: str, **variables: str) -> str:
    """All that a command writes to a terminal, that has stdout and stderr, as it was written."""
    with terminal() as (end, written):
        settings = dict(os.environ) | {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
        with (
            open(end, "w", encoding="utf-8", newline="", closefd=False) as out,
            open(os.devnull) as nothing,  # noqa: PTH123
        ):
            main(argv, Environment(nothing, out, out, settings | variables))
        return written()
