"""Token bytes → text as it comes, never splitting a character."""

from __future__ import annotations

import codecs


class TextStream:
    """Feed it bytes, get whole characters; what cannot become one is U+FFFD."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, data: bytes) -> str:
        """The characters that are now whole."""
        return self._decoder.decode(data)

    def finish(self) -> str:
        """U+FFFD if the end came within a character, else nothing."""
        return self._decoder.decode(b"", final=True)
