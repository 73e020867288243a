"""Streams as commands have them: no text drives a terminal through one, a lost reader is told.

Whatever is written to a terminal is made harmless here, whoever writes it, texts and bytes alike.
What our own writers draw with (colours, the cursor) goes by `obeyed`, past that; elsewhere than on
terminals everything is exact. A stream also knows by which variables it is written to: NO_COLOR,
TERM, COLUMNS and so on.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO, cast

from gptcli.ui.terminal.visible import Neutral


class PipeClosedError(Exception):
    """Whoever read our output has gone.

    Not an OSError: Rich and Typer would make an exit of their own of that.
    """


class _Plain:
    """A stream without the bytes beneath it, and with errors that tell of a reader that left."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with _left():
            return self._stream.write(text)

    def flush(self) -> None:
        with _left():
            self._stream.flush()

    def isatty(self) -> bool:
        # A closed one is no terminal.
        return not self._stream.closed and self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:
        return getattr(self._stream, "encoding", None) or "utf-8"


class _Stream(_Plain):
    """A stream with variables; all else is the stream's own."""

    def __init__(self, stream: TextIO, variables: Mapping[str, str]) -> None:
        super().__init__(stream)
        self.variables = variables
        self.obeyed = _Plain(stream)
        self._neutral = Neutral()

    def write(self, text: str) -> int:
        return self.obeyed.write(self._neutral(text) if self.isatty() else text)

    @property
    def buffer(self) -> Any:
        """Where bytes are written. AttributeError, as elsewhere, where there are none."""
        beneath = self._stream.buffer
        return _Bytes(self) if self.isatty() else _Exact(beneath)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Exact:
    """The bytes beneath a stream."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, data: bytes) -> int:
        with _left():
            return int(self._stream.write(data))

    def flush(self) -> None:
        with _left():
            self._stream.flush()


class _Bytes:
    """Bytes for a terminal: those that are no UTF-8 are shown."""

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def write(self, data: bytes) -> int:
        self._stream.write(self._decoder.decode(data))
        return len(data)

    def flush(self) -> None:
        self._stream.flush()


@contextmanager
def _left() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise PipeClosedError from None


def with_variables(stream: TextIO, variables: Mapping[str, str]) -> TextIO:
    """The stream, to be written to as these variables say, not those of the process."""
    return cast(TextIO, _Stream(stream, variables))


def variables_of(stream: TextIO) -> Mapping[str, str]:
    """The variables that a stream was given, else those of the process."""
    found: Mapping[str, str] = getattr(stream, "variables", os.environ)
    return found


def obeyed(stream: TextIO) -> TextIO:
    """Where our own writers draw: what is written here, the terminal obeys."""
    found: TextIO = getattr(stream, "obeyed", stream)
    return found
