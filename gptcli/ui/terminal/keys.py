"""Single keys from a terminal, its settings restored whatever happens."""

from __future__ import annotations

import os
import select
from types import TracebackType
from typing import Any, TextIO

from gptcli.errors import UsageError

#: How long the rest of an escape sequence may take, in seconds; a lone Esc has none.
_PATIENCE = 0.05
_NAMES = {
    b"\x1b[A": "up",
    b"\x1bOA": "up",
    b"k": "up",
    b"\x1b[B": "down",
    b"\x1bOB": "down",
    b"j": "down",
    b"\x1b[C": "right",
    b"\x1bOC": "right",
    b"l": "right",
    b"\x1b[6~": "right",
    b"\x1b[D": "left",
    b"\x1bOD": "left",
    b"h": "left",
    b"\x1b[5~": "left",
    b" ": "space",
    b"\x1b[H": "first",
    b"\x1bOH": "first",
    b"\x1b[1~": "first",
    b"\x1b[F": "last",
    b"\x1bOF": "last",
    b"\x1b[4~": "last",
    b"\r": "enter",
    b"\n": "enter",
    b"\x1b": "leave",
    b"q": "leave",
    b"\x04": "leave",
    b"": "leave",
}


def name_of(data: bytes) -> str | None:
    """What a key means: up, down, left, right, first, last, enter, space, leave; else None."""
    return _NAMES.get(data)


class Keys:
    """A terminal that gives keys as they are pressed, unseen, while the context lasts.

    Ctrl-C still interrupts. Raises UsageError, which names `flag`, where there are no such
    terminals.
    """

    def __init__(self, stream: TextIO, flag: str = "--pick") -> None:
        try:
            import termios
        except ImportError:
            raise UsageError(flag, "needs the terminal of a Unix system") from None
        self._termios: Any = termios
        self._fd = stream.fileno()

    def __enter__(self) -> Keys:
        import tty

        self._before = self._termios.tcgetattr(self._fd)
        tty.setcbreak(self._fd)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._termios.tcsetattr(self._fd, self._termios.TCSADRAIN, self._before)

    def read(self) -> str | None:
        """Wait for a key; its name as `name_of` gives it. A closed terminal is "leave"."""
        data = os.read(self._fd, 1)
        while data[:1] == b"\x1b" and not _whole(data):
            if not select.select([self._fd], [], [], _PATIENCE)[0]:
                break
            data += os.read(self._fd, 1)
        return name_of(data)


def _whole(data: bytes) -> bool:
    """Whether an escape sequence is at its end (ECMA-48: a CSI ends with @ to ~)."""
    if data[1:2] == b"[":
        return len(data) > 2 and 0x40 <= data[-1] <= 0x7E
    return len(data) > 2 if data[1:2] == b"O" else len(data) > 1
