"""Stop strings: matched on text, across token borders, and never shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import AnyStr


class StopMatcher:
    """Feed it text, get back what is certain not to be part of a stop string."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.stopped = False

    def feed(self, text: str) -> str:
        """The text that may be shown now. Once `stopped` is set, all that follows is dropped."""
        if self.stopped:
            return ""
        self._held += text
        # The stop that is whole first counts, as if the text had come letter by letter.
        found = [(self._held.find(stop), len(stop)) for stop in self._stops]
        ends = [(at + size, at) for at, size in found if at >= 0]
        if ends:
            self.stopped = True
            shown, self._held = self._held[: min(ends)[1]], ""
            return shown
        keep = max((overlap(self._held, stop) for stop in self._stops), default=0)
        cut = len(self._held) - keep
        shown, self._held = self._held[:cut], self._held[cut:]
        return shown

    def finish(self) -> str:
        """What was held back, now that no more text can complete a stop string."""
        shown, self._held = self._held, ""
        return shown


def overlap(text: AnyStr, mark: AnyStr) -> int:
    """How much of the text's end is a beginning of the mark, and not all of it."""
    sizes = range(min(len(mark) - 1, len(text)), 0, -1)
    return next((n for n in sizes if text.endswith(mark[:n])), 0)
