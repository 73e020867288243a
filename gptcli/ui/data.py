"""The writer for programs: exact bytes, and JSON."""

from __future__ import annotations

import json
from typing import Any, TextIO


class DataWriter:
    """Writes UTF-8 whatever the locale, and newlines as they are."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bytes = getattr(stream, "buffer", None)

    def write(self, text: str) -> None:
        """The text exactly, at once."""
        if self._bytes is None:
            self._stream.write(text)
        else:
            self._bytes.write(text.encode())
        self.flush()

    def json(self, value: Any) -> None:
        """One line of JSON. Raises ValueError for NaN and infinities, which JSON has not."""
        self.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")

    def flush(self) -> None:
        """Hand everything to the system."""
        (self._stream if self._bytes is None else self._bytes).flush()
