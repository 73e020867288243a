"""Rows of data files, one after another: JSONL, CSV, TSV, plain lines.

They come as they are asked for, so that a bad row takes nothing from those before it.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from gptcli.cli.json_lines import parse_object
from gptcli.cli.line_source import LineSource
from gptcli.errors import InputError, UsageError

STDIN = "-"
#: Longer than any text that a context holds.
_LONGEST = 16 << 20
_BY_SUFFIX = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv"}
_DELIMITERS = {"csv": ",", "tsv": "\t"}


@dataclass(frozen=True)
class Row:
    """A row; `subject` names it in errors. A plain line's text is under the empty name."""

    subject: str
    values: dict[str, Any]

    def text(self, field: str, flag: str) -> str:
        """The text under a name. Numbers and truth values are the text that JSON has for them.

        Raises InputError, which names the flag that chooses the column, where there is none.
        """
        if field not in self.values:
            known = ", ".join(map(repr, self.values)) or "none"
            raise InputError(
                self.subject, f"has no {field!r}, but {known}", f"{flag} names another"
            )
        value = self.values[field]
        if isinstance(value, bool | int | float):
            return json.dumps(value)
        if not isinstance(value, str):
            raise InputError(self.subject, f"{field!r} is not a text")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InputError(self.subject, f"{field!r} holds half of a surrogate pair") from None
        return value


def kind_of(path: Path) -> str | None:
    """jsonl, csv or tsv by the name of a file, None for any other."""
    return _BY_SUFFIX.get(path.suffix.lower())


class Rows:
    """The rows of a file, or of stdin for `-`, one after another.

    Raises InputError, at the row at which it is found, for what is no such row or not UTF-8, and
    for a file without rows.
    """

    def __init__(self, path: Path, kind: str) -> None:
        self._name = "stdin" if str(path) == STDIN else str(path)
        self._source: LineSource | None = None
        lines = self._lines(path)
        rows = {"jsonl": _objects, "lines": _plain}.get(kind)
        self._rows = rows(lines, self._name) if rows else _table(lines, self._name, kind)
        self._empty = True

    def __iter__(self) -> Rows:
        return self

    def __next__(self) -> Row:
        row = next(self._rows, None)
        if row is None and self._empty:
            raise InputError(self._name, "is empty")
        if row is None:
            raise StopIteration
        self._empty = False
        return row

    def waiting(self) -> bool:
        """Whether the next row has yet to come from a pipe."""
        return self._source is not None and self._source.waiting()

    def _lines(self, path: Path) -> Iterator[str]:
        """Lines with their ends, decoded one by one."""
        name = self._name
        if name != "stdin" and path.exists() and not path.is_file() and not path.is_fifo():
            raise InputError(name, "is not a file")
        try:
            opened = nullcontext(sys.stdin.buffer) if name == "stdin" else path.open("rb")
            with cast(IO[bytes], opened) as file:
                self._source = LineSource(file)
                number = 0
                while line := self._source.readline(_LONGEST + 1):
                    number += 1
                    subject = f"{name}: line {number}"
                    if len(line) > _LONGEST:
                        raise InputError(subject, f"is longer than {_LONGEST >> 20} MiB")
                    yield _decoded(line, subject, first=number == 1)
        except OSError as error:
            raise InputError(name, error.strerror or str(error)) from None
        finally:
            self._source = None


def _decoded(line: bytes, subject: str, *, first: bool) -> str:
    try:
        return line.decode("utf-8-sig" if first else "utf-8")
    except UnicodeDecodeError as error:
        reason = f"is not UTF-8 at byte {error.start + 1}"
        raise InputError(subject, reason, "iconv -t UTF-8 converts files") from None


def _objects(lines: Iterator[str], name: str) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            subject = f"{name}: line {number}"
            yield Row(subject, parse_object(line, subject))


def _plain(lines: Iterator[str], name: str) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        subject = f"{name}: line {number}"
        text = line.removesuffix("\n").removesuffix("\r")
        if not text.strip():
            raise InputError(subject, "is empty")
        yield Row(subject, {"": text})


def _table(lines: Iterator[str], name: str, kind: str) -> Iterator[Row]:
    """Rows under the heads of the first one."""
    csv.field_size_limit(_LONGEST)
    reader = csv.reader(lines, delimiter=_DELIMITERS[kind], strict=True)
    heads: list[str] | None = None
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise InputError(f"{name}: line {reader.line_num}", str(error)) from None
        if cells is None:
            return
        subject = f"{name}: line {reader.line_num}"
        if not cells:
            continue
        if heads is None:
            heads = cells
            twice = next((head for head in heads if heads.count(head) > 1), None)
            if twice is not None:
                raise InputError(subject, f"has the column {twice!r} twice")
            continue
        if len(cells) != len(heads):
            raise InputError(subject, f"has {len(cells)} cells under {len(heads)} heads")
        yield Row(subject, dict(zip(heads, cells, strict=True)))


def known_kind(path: Path, flag: str, more: tuple[str, ...] = ()) -> str:
    """The kind of a file by its name. Raises UsageError for a name that tells none."""
    kind = kind_of(path)
    if kind is None:
        known = ", ".join((*_BY_SUFFIX, *more))
        raise UsageError(flag, f"{path} ends in none of {known}")
    return kind
