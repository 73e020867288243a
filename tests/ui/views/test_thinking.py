"""Thoughts beside an answer: shown, folded, or left out."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from gptcli.types.completion import Chunk
from gptcli.ui.terminal.stream import with_variables
from gptcli.ui.views.thinking import ThinkingView

EVENTS = [
    Chunk("", thinking="Hm"),
    Chunk("", thinking=", \x1b[2J"),
    Chunk("Yes"),
    Chunk(".", finish_reason="stop"),
]


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO, mode, events=EVENTS, **variables: str) -> str:
    clock = iter([1.0, 3.5, 9.0, 9.0])
    view = ThinkingView(with_variables(stream, variables), mode, clock=lambda: next(clock))
    assert list(view.beside(iter(events))) == events
    return stream.getvalue()


@pytest.mark.parametrize("mode", ["folded", "left out"])
def test_nothing_is_told_off_a_terminal(mode):
    """Catches a note of thoughts among the lines that a script reads."""
    assert shown(io.StringIO(), mode) == ""


def test_thoughts_are_exact_off_a_terminal():
    """Catches colours in a file, and thoughts that run into what comes after them."""
    assert shown(io.StringIO(), "shown") == "Hm, \x1b[2J\n"


def test_thoughts_are_dim_on_a_terminal():
    """Catches thoughts that look like the answer, and such that drive the terminal."""
    dim = shown(Screen(), "shown", TERM="xterm")
    assert dim.startswith("\x1b[2mHm\x1b[0m")
    assert "\x1b[2J" not in dim
    assert dim.endswith("\n\n")
    plain = shown(Screen(), "shown", TERM="dumb")
    assert plain.startswith("Hm, ") and "\x1b" not in plain


def test_folded_thoughts_are_a_line():
    """Catches a fold that says nothing, or goes on over several lines."""
    assert shown(Screen(), "folded", TERM="dumb") == "thinking … 2.50 s\n"
    assert shown(Screen(), "left out", TERM="xterm") == ""


def test_a_line_ends_where_an_answer_is_stopped():
    """Catches a message of ours behind a thought, on its line."""

    def stopped() -> Iterator[Chunk]:
        yield EVENTS[0]
        raise KeyboardInterrupt

    stream = io.StringIO()
    with pytest.raises(KeyboardInterrupt):
        list(ThinkingView(stream, "shown").beside(stopped()))
    assert stream.getvalue() == "Hm\n"
