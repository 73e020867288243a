"""A completion coloured token by token: on a terminal as it comes, and kept for a page."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TextIO

from gptcli.types.completion import Chunk, PromptToken, Usage
from gptcli.ui.terminal.pieces import StreamedPieces, print_pieces
from gptcli.ui.terminal.visible import neutral
from gptcli.ui.views.attribution import Attribution, Piece, of_prompt
from gptcli.ui.views.completion import in_order
from gptcli.ui.views.measures import Measure
from gptcli.ui.views.surprisal import Palette, marked


class Coloured:
    """Streams to a terminal that has colours; the prompt, if echoed, before each sample.

    prompt: what its tokens are, once they are known; the prompt stays dim without them.
    """

    def __init__(self, stream: TextIO, measure: Measure, *, samples: int, echo: str) -> None:
        self._stream, self._samples, self._echo = stream, samples, echo
        self._palette = Palette(stream, measure)
        self._pieces = StreamedPieces(stream)
        self.prompt: list[PromptToken] = []

    def show(self, events: Iterable[Chunk | Usage]) -> Usage | None:
        """See CompletionView; a legend stands below."""
        usage = None
        texts: dict[int, Attribution] = {}
        try:
            for event in in_order(events):
                if isinstance(event, Usage):
                    usage = event
                    continue
                if event.index not in texts:
                    texts[event.index] = Attribution()
                    self._begin(event.index)
                self._write(texts[event.index].feed(event))
        finally:
            self._pieces.end_line()
        print_pieces(self._stream, self._palette.legend())
        return usage

    def _begin(self, index: int) -> None:
        if self._samples > 1:
            self._pieces.end_line()
            self._pieces.add(f"── {index + 1} of {self._samples} ──\n", "bold")
        if self._echo:
            self._write(of_prompt(self._echo, self.prompt))

    def _write(self, pieces: Iterable[Piece]) -> None:
        for text, tokens in pieces:
            style = self._palette.style(self._palette.measure.of(tokens))
            for part in marked(neutral(text), style):
                self._pieces.add(*part)


class Kept:
    """What a page needs of a completion, while others show it.

    prompt: what its tokens are, once they are known.
    """

    def __init__(self, asked: str, samples: int) -> None:
        self._prompt = asked
        self._texts = [Attribution() for _ in range(samples)]
        self.samples: list[list[Piece]] = [[] for _ in range(samples)]
        self.reasons: list[str | None] = [None] * samples
        self.prompt: list[PromptToken] = []
        self.usage: Usage | None = None

    @property
    def asked(self) -> list[Piece]:
        """The prompt in pieces."""
        return list(of_prompt(self._prompt, self.prompt)) if self._prompt else []

    def show(self, events: Iterable[Chunk | Usage]) -> Usage | None:
        """See CompletionView: nothing is shown yet. The events are `watched` before."""
        deque(events, maxlen=0)
        return self.usage

    def watched(self, events: Iterable[Chunk | Usage]) -> Iterator[Chunk | Usage]:
        """The events, of which this keeps what it needs."""
        for event in events:
            if isinstance(event, Usage):
                self.usage = event
            else:
                self.samples[event.index] += self._texts[event.index].feed(event)
                self.reasons[event.index] = event.finish_reason or self.reasons[event.index]
            yield event
