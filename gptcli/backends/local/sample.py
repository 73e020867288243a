"""The text of a sample as it grows, token by token."""

from __future__ import annotations

from collections.abc import Sequence

from gptcli.text.stop import StopMatcher
from gptcli.text.stream import TextStream


class Sample:
    """The text of one completion as it grows, less its first `skip` bytes.

    trim: also less the white space that it begins with, at which it does not stop either.
    """

    def __init__(self, stops: Sequence[str], *, skip: int = 0, trim: bool = False) -> None:
        self._stream = TextStream()
        self._stop = StopMatcher(stops)
        self._skip = skip
        self._trim = trim
        self.tokens = 0
        self.text = ""
        #: How long the text would be, were nothing held back and nothing cut off.
        self.fed = 0
        self.finish_reason: str | None = None

    def feed(self, data: bytes) -> str:
        """The text that a token of these bytes makes certain."""
        skipped = min(self._skip, len(data))
        self._skip -= skipped
        data = data[skipped:]
        if skipped and not data:
            return ""
        self.tokens += 1
        text = self._stream.feed(data)
        if self._trim:
            text = text.lstrip()
            self._trim = not text
        self.fed += len(text)
        shown = self._stop.feed(text)
        if self._stop.stopped:
            self.finish_reason = "stop"
        self.text += shown
        return shown

    def close(self, data: bytes) -> str:
        """The text with these bytes behind it, in which no stop string counts: what that adds."""
        if self._stop.stopped:
            shown = data.decode(errors="replace")
        else:
            shown = self._stop.finish() + self._stream.feed(data)
        self.fed += len(shown)
        self.text += shown
        return shown

    def finish(self, reason: str) -> str:
        """The text that was held back, now that the sample is over."""
        self.finish_reason = reason
        shown = self._stop.feed(self._stream.finish()) + self._stop.finish()
        self.text += shown
        return shown
