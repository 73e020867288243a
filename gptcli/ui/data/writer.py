"""THE writer for programs: exact bytes, tab-separated rows, JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from gptcli.ui.terminal.visible import in_json, one_line


class DataWriter:
    """Writes UTF-8 whatever the locale, and newlines as they are."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bytes = getattr(stream, "buffer", None)

    def write(self, text: str) -> None:
        """The text exactly, at once."""
        self._put(text)
        self.flush()

    def write_bytes(self, data: bytes) -> None:
        """The bytes exactly, at once, whether they are UTF-8 or not."""
        if self._bytes is None:
            self._stream.write(data.decode(errors="replace"))
        else:
            self._bytes.write(data)
        self.flush()

    def rows(self, rows: Iterable[Sequence[str]]) -> None:
        """Rows as they come, cells with tabs between; what would break one is spelled out."""
        for row in rows:
            self._put("\t".join(map(one_line, row)) + "\n")
        self.flush()

    def json(self, value: Any) -> None:
        """One line of JSON. Raises ValueError for NaN and infinities, which JSON has not."""
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        if _has_surrogates(text):
            text = json.dumps(value, allow_nan=False)
        if self._stream.isatty():
            text = in_json(text)
        self.write(f"{text}\n")

    def _put(self, text: str) -> None:
        if self._bytes is None:
            self._stream.write(text)
        else:
            # A path's bytes that are no UTF-8 come as lone surrogates, and leave as they were.
            self._bytes.write(text.encode(errors="surrogateescape"))

    def flush(self) -> None:
        """Hand everything to the system."""
        (self._stream if self._bytes is None else self._bytes).flush()


def _has_surrogates(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
