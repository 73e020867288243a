"""Streams that know by which variables they are written to: NO_COLOR, TERM, COLUMNS and so on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, TextIO, cast


class _Stream:
    """A stream with variables; all else is the stream's own."""

    def __init__(self, stream: TextIO, variables: Mapping[str, str]) -> None:
        self._stream = stream
        self.variables = variables

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def with_variables(stream: TextIO, variables: Mapping[str, str]) -> TextIO:
    """The stream, to be written to as these variables say, not those of the process."""
    return cast(TextIO, _Stream(stream, variables))


def variables_of(stream: TextIO) -> Mapping[str, str]:
    """The variables that a stream was given, else those of the process."""
    found: Mapping[str, str] = getattr(stream, "variables", os.environ)
    return found
