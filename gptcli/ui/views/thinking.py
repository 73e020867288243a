"""What a model thinks before it answers, as people see it: beside the answer, never in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, TextIO

from gptcli.types.completion import Chunk, Usage
from gptcli.ui.data.writer import DataWriter
from gptcli.units import seconds

#: Written as they come; one line that tells that there are some, on a terminal; not at all.
Mode = Literal["shown", "folded", "left out"]


class ThinkingView:
    """Writes thoughts to a stream, dim where that is a terminal. `mode` may change in between."""

    def __init__(
        self, stream: TextIO, mode: Mode, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.mode = mode
        self._stream, self._clock = stream, clock
        self._begun: float | None = None

    def beside(self, events: Iterable[Chunk | Usage]) -> Iterator[Chunk | Usage]:
        """The events as they are; what was thought is written before each goes on."""
        try:
            for event in events:
                if isinstance(event, Chunk):
                    if event.thinking:
                        self._write(event.thinking)
                    if event.text or event.finish_reason:
                        self._end()
                yield event
        finally:
            # Also after an error or Ctrl-C: what comes next begins on a line of its own.
            self._end()

    def _write(self, text: str) -> None:
        first = self._begun is None
        if self._begun is None:
            self._begun = self._clock()
        if self.mode == "shown":
            self._put(text)
        elif self.mode == "folded" and first and self._stream.isatty():
            self._put("thinking …")

    def _end(self) -> None:
        begun, self._begun = self._begun, None
        if begun is None:
            return
        if self.mode == "shown":
            # An empty line where nothing else may tell both apart.
            self._put("\n\n" if self._stream.isatty() else "\n")
        elif self.mode == "folded" and self._stream.isatty():
            self._put(f" {seconds(self._clock() - begun)}\n")

    def _put(self, text: str) -> None:
        if self._stream.isatty():
            from gptcli.ui.terminal.writer import TerminalWriter

            TerminalWriter(self._stream).write(text, style="dim")
        else:
            DataWriter(self._stream).write(text)
