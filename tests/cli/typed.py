"""A person at a terminal: keys that are typed, and what is seen."""

from __future__ import annotations

import re
import sys
import time

import pexpect
import pyte


class Screen:
    """A command that runs on a terminal of its own, and what a person sees of it.

    written: all that it has written so far, as it was.
    """

    def __init__(self, *argv: str, columns: int = 70, lines: int = 24) -> None:
        self.child = pexpect.spawn(
            sys.executable, ["-m", "gptcli", *argv], dimensions=(lines, columns), timeout=60
        )
        self.written = b""
        self._columns = columns
        self._screen = pyte.HistoryScreen(columns, lines, history=1000)
        self._stream = pyte.ByteStream(self._screen)

    @property
    def text(self) -> str:
        """All lines, also those that have left the screen."""
        columns = range(self._columns)
        gone = ["".join(line[i].data for i in columns) for line in self._screen.history.top]
        return "\n".join(line.rstrip() for line in [*gone, *self._screen.display])

    def wait(self, pattern: str, count: int = 1) -> str:
        """Until the text has the pattern that often. Raises AssertionError after a minute."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if len(re.findall(pattern, self.text, re.MULTILINE)) >= count:
                return self.text
            try:
                data = self.child.read_nonblocking(65536, timeout=0.2)
            except pexpect.TIMEOUT:
                continue
            except pexpect.EOF:
                break
            self.written += data
            self._stream.feed(data)
            if b"\x1b[6n" in data:
                # prompt_toolkit asks where the cursor is.
                self.child.send(f"\x1b[{self._screen.cursor.y + 1};1R")
        raise AssertionError(f"no {pattern!r} in:\n{self.text}")

    def prompt(self, count: int) -> str:
        """Until the prompt waits for the line of that number."""
        return self.wait(r"^> ?", count)

    def say(self, keys: str) -> None:
        self.child.send(keys)

    def ended(self) -> int:
        """The exit code."""
        self.child.expect(pexpect.EOF, timeout=60)
        self.child.close()
        assert self.child.exitstatus is not None
        return self.child.exitstatus
