"""THE writer for programs: exact bytes, tab-separated rows, JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from gptcli.ui.terminal.visible import in_json

#: A row of a table, cell by cell; what may be no whole characters, such as a token, is bytes.
Row = Sequence[str | bytes]

# What breaks a row or its lines, or is a control: C0, DEL, C1, line and paragraph separators.
_BREAKING = re.compile("[\\\\\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SHORT = {"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"}


def cell(value: str | bytes) -> str:
    r"""A text as tab-separated values have it, from which it can be had again, byte for byte.

    Backslash, tab, newline and carriage return are `\\`, `\t`, `\n` and `\r`; each byte of another
    control, or of what is no character of UTF-8, is `\xNN`; all else stands for itself.
    """
    text = value if isinstance(value, str) else value.decode(errors="surrogateescape")
    text = _BREAKING.sub(_escape, text)
    try:
        return text.encode(errors="surrogateescape").decode(errors="backslashreplace")
    except UnicodeEncodeError:
        # Half of a surrogate pair, which JSON can spell and no byte is.
        return text.encode(errors="backslashreplace").decode()


def _escape(match: re.Match[str]) -> str:
    return _SHORT.get(match[0]) or "".join(f"\\x{byte:02x}" for byte in match[0].encode())


def json_line(value: Any) -> str:
    """JSON in UTF-8, but for halves of surrogate pairs; on one line, without its end.

    Raises ValueError for NaN and infinities.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return json.dumps(value, allow_nan=False) if _has_surrogates(text) else text


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

    def rows(self, rows: Iterable[Row]) -> None:
        """Rows as they come, each `cell` exact, with tabs between."""
        for row in rows:
            self._put("\t".join(map(cell, row)) + "\n")
        self.flush()

    def json(self, value: Any) -> None:
        """One line of JSON. Raises ValueError for NaN and infinities, which JSON has not."""
        self.json_text(json_line(value))

    def json_text(self, text: str) -> None:
        """One line of JSON that is written already."""
        if self._stream.isatty():
            # Spelled as JSON does it, before the terminal's stream spells it otherwise.
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
