"""The text of a sample as it grows, token by token."""

from __future__ import annotations

from collections.abc import Sequence

from gptcli.backends.local.thoughts import Thinking, Thoughts
from gptcli.text.stop import StopMatcher
from gptcli.text.stream import TextStream


class Sample:
    """The text of one completion as it grows, less its first `skip` bytes.

    trim: also less the white space that it begins with, at which it does not stop either.
    thinking: how thoughts, which are no part of the text, are told from it.
    """

    def __init__(
        self,
        stops: Sequence[str],
        *,
        skip: int = 0,
        trim: bool = False,
        thinking: Thinking | None = None,
    ) -> None:
        self._stream = TextStream()
        self._stop = StopMatcher(stops)
        self._skip = skip
        self._trim = trim
        apart = thinking is not None and thinking.apart
        self._reading = Thoughts(thinking) if thinking is not None and apart else None
        self.tokens = 0
        self.text = ""
        #: How long the text would be, were nothing held back and nothing cut off.
        self.fed = 0
        #: The last bytes that became text, what was thought with the last token, and in all.
        self.said, self.thought, self.thoughts = b"", "", ""
        self.finish_reason: str | None = None

    @property
    def thought_tokens(self) -> int:
        """How many tokens were no part of the text: thoughts, their marks and headers."""
        return 0 if self._reading is None else self._reading.tokens

    @property
    def only_thought(self) -> bool:
        """Whether something was thought, and no word said."""
        return self._reading is not None and self._reading.alone

    def feed(self, token: int, data: bytes) -> str:
        """The text that a token of these bytes makes certain."""
        self.said = b""
        if self._reading is not None:
            data, self.thought = self._reading.feed(token, data)
            self.thoughts += self.thought
        skipped = min(self._skip, len(data))
        self._skip -= skipped
        data = data[skipped:]
        if skipped and not data:
            return ""
        self.tokens += 1
        return self._take(data)

    def finish(self, reason: str) -> str:
        """The text that was held back, now that the sample is over."""
        shown = self.thought = ""
        if self._reading is not None:
            data, self.thought = self._reading.finish()
            self.thoughts += self.thought
            shown = self._take(data)
        self.finish_reason = self.finish_reason or reason
        last = self._stop.feed(self._stream.finish()) + self._stop.finish()
        self.text += last
        return shown + last

    def _take(self, data: bytes) -> str:
        self.said = data
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
