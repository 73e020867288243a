"""Keys of a terminal, on a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import termios

import pytest

from gptcli.ui.terminal.keys import Keys


class Fd:
    def __init__(self, fd: int) -> None:
        self.fd = fd

    def fileno(self) -> int:
        return self.fd


@pytest.fixture
def ends():
    person, tool = pty.openpty()
    yield person, tool
    os.close(person)
    os.close(tool)


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        (b"\x1b[A\x1b[B\x1bOA\x1bOB", ["up", "down", "up", "down"]),
        (b"jk", ["down", "up"]),
        (b"\x1b[H\x1b[4~", ["first", "last"]),
        (b"\r", ["enter"]),
        (b"q", ["leave"]),
        (b"\x1b", ["leave"]),
        (b"x\x1b[1;5C\x1b[200~q", [None, None, None, "leave"]),
    ],
)
def test_what_keys_mean(ends, typed, names):
    """Catches an arrow taken for Esc, a lone Esc that waits for ever, a sequence cut in two."""
    person, tool = ends
    with Keys(Fd(tool)) as keys:
        os.write(person, typed)
        assert [keys.read() for _ in names] == names


def test_the_terminal_is_as_it_was_also_after_an_interrupt(ends):
    """Catches a shell left without echo after Ctrl-C."""
    _, tool = ends
    before = termios.tcgetattr(tool)
    with pytest.raises(KeyboardInterrupt), Keys(Fd(tool)):
        assert not termios.tcgetattr(tool)[3] & termios.ECHO
        raise KeyboardInterrupt
    assert termios.tcgetattr(tool) == before
