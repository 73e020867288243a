"""The file of `gptcli activations`: rows as they come, and what says whose they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

from gptcli.backends import Backend
from gptcli.cli.input.text_rows import TextRow
from gptcli.errors import GptcliError, ResourceError
from gptcli.formats.growing.growing_file import Form, GrowingFile, growing
from gptcli.signals import EndedError
from gptcli.types.activations import (
    ActivationRows,
    ActivationsRequest,
    ActivationsWritten,
    NamedText,
)
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.terminal.progress import counting_rows
from gptcli.ui.views.source import precision

#: Texts that are asked about at once.
_TEXTS = 64
_ENDED = (KeyboardInterrupt, EndedError, GptcliError)
#: A text and some of its rows; those of a text follow each other, and behind them stands None.
_Part = tuple[TextRow, ActivationRows | None]


class Writing:
    """What is written, and how far it is."""

    def __init__(self, path: Path, request: ActivationsRequest, backend: Backend) -> None:
        self.path, self.request, self.backend = path, request, backend
        self.texts = self.tokens = self.rows = 0
        self._first: ActivationRows | None = None
        self._place = 0

    def form(self, first: ActivationRows) -> Form:
        """The arrays, as the first rows tell."""
        self._first = first
        columns = {"ids": "i4", "offsets": "i8", "lines": "i8", "layers": "i8"}
        if self.request.pool == "none":
            columns |= {"texts": "i8", "positions": "i4"}
        return Form("activations", (len(first.layers), first.width), columns)

    def begin(self, file: GrowingFile) -> None:
        """What the file has whatever comes."""
        assert self._first is not None
        source, asked = self._first.source, self.request
        file.add("layers", self._first.layers)
        file.add("offsets", [0])
        file.facts |= {"model": source.model, "computed_in": precision(source)}
        file.facts |= {"at": asked.at, "pool": asked.pool}
        if source.adapters:
            file.facts["adapters"] = ", ".join(source.adapters)
        if source.steering:
            file.facts["steering"] = ", ".join(source.steering)

    def add(self, file: GrowingFile, part: ActivationRows) -> None:
        """Some rows of a text."""
        file.rows(part.values)
        file.add("ids", part.ids)
        if self.request.pool == "none":
            file.add("texts", [self.texts] * part.rows)
            file.add("positions", range(self._place, self._place + part.rows))
        self._place += len(part.ids)

    def close(self, file: GrowingFile, text: TextRow) -> None:
        """The rows of a text are all there: they stay."""
        file.add("lines", [text.line])
        file.add("offsets", [self.tokens + self._place])
        file.keep()
        self.texts, self.tokens, self.rows = self.texts + 1, self.tokens + self._place, file.kept
        self._place = 0

    def found(self) -> ActivationsWritten:
        """What is in the file."""
        assert self._first is not None
        return ActivationsWritten(
            source=self._first.source,
            file=str(self.path),
            at=self.request.at,
            pool=self.request.pool,
            layers=self._first.layers,
            width=self._first.width,
            rows=self.rows,
            texts=self.texts,
            tokens=self.tokens,
            size=self.path.stat().st_size,
        )


def write(writing: Writing, rows: Iterator[TextRow], messages: Messages) -> BaseException | None:
    """Ask for the numbers of each text and write them, those of whole texts alone.

    Returns what stopped it where something did, once what was done is in the file; where nothing
    was, that is raised, and there is no file. Raises ResourceError where it cannot be written.
    """
    with counting_rows("texts", None, messages) as count:
        parts = _parts(writing, rows, messages)
        text, first = next(parts)
        assert first is not None
        try:
            with growing(writing.path, writing.form(first)) as file:
                return _fill(writing, file, chain([(text, first)], parts), count)
        except OSError as error:
            reason = error.strerror or str(error)
            raise ResourceError(str(writing.path), reason) from None


def _fill(
    writing: Writing,
    file: GrowingFile,
    parts: Iterator[_Part],
    count: Callable[[int, int], None],
) -> BaseException | None:
    writing.begin(file)
    try:
        for text, part in parts:
            if part is None:
                writing.close(file, text)
                count(writing.texts, writing.tokens)
            else:
                writing.add(file, part)
    except _ENDED as error:
        if not file.kept:
            raise
        return error
    return None


def _parts(writing: Writing, rows: Iterator[TextRow], messages: Messages) -> Iterator[_Part]:
    told = False
    for texts in _some(rows):
        named = tuple(NamedText(row.text, row.subject) for row in texts)
        for part in writing.backend.answer(replace(writing.request, texts=named)):
            # Of a million texts with the same word in them one line is enough.
            if part.notices and not told:
                messages.notices(part.notices)
                told = True
            yield texts[part.text], part
            if part.last:
                yield texts[part.text], None


def _some(rows: Iterator[TextRow]) -> Iterator[list[TextRow]]:
    """Rows that are asked about at once; those before one that cannot be read come first."""
    texts: list[TextRow] = []
    try:
        for row in rows:
            texts.append(row)
            if len(texts) == _TEXTS:
                yield texts
                texts = []
    except GptcliError:
        if texts:
            yield texts
        raise
    if texts:
        yield texts
