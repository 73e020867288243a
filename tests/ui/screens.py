"""A terminal for views to write to, and what a person would see on it."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TextIO

import pyte
import pytest


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def written(
    show: Callable[[TextIO], object], width: int, term: str = "xterm-256color", **env: str
) -> str:
    """What `show` writes to a terminal of this kind and width."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("COLORTERM", "NO_COLOR", "FORCE_COLOR"):
            patch.delenv(name, raising=False)
        for name, value in {"TERM": term, "COLUMNS": str(width), **env}.items():
            patch.setenv(name, value)
        stream = Terminal()
        show(stream)
        return stream.getvalue()


def seen(text: str, width: int) -> list[str]:
    """The lines of the screen, each as it looks; it has as many as it needs.

    Without the isolates around right-to-left text, which pyte breaks a full line for.
    """
    text = text.replace("\u2068", "").replace("\u2069", "")
    screen = pyte.Screen(width, text.count("\n") * 3 + 50)
    pyte.Stream(screen).feed(text.replace("\n", "\r\n"))
    return [line.rstrip() for line in screen.display[: screen.cursor.y]]


def assert_unbroken(text: str, width: int) -> None:
    """Every line that was written is one line of the screen: the terminal had to break none."""
    assert len(seen(text, width)) == text.count("\n"), text
