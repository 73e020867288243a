"""Where a person's lines come from."""

from __future__ import annotations

from typing import Protocol


class Lines(Protocol):
    """Where a person's lines come from."""

    def read(self, prompt: str = "> ") -> str:
        """A line, or several as one. Raises EOFError for Ctrl-D, KeyboardInterrupt for Ctrl-C."""
        ...

    def edit(self, text: str) -> str:
        """The text as the person's editor leaves it."""
        ...
