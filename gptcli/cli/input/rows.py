"""Rows of data files, one after another: JSONL, CSV, TSV, plain lines.

They come as they are asked for, so that a bad row takes nothing from those before it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from gptcli.cli.environment import Environment
from gptcli.cli.input.json_lines import parse_object
from gptcli.cli.input.line_source import lines_as_they_come
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


def read_rows(environment: Environment, path: Path, kind: str) -> Iterator[Row]:
    """The rows of a file, or of stdin for `-`.

    Raises InputError, at the row at which it is found, for what is no such row or not UTF-8, and
    for a file without rows.
    """
    return (row for row in rows_as_they_come(environment, path, kind) if row is not None)


def rows_as_they_come(environment: Environment, path: Path, kind: str) -> Iterator[Row | None]:
    """As `read_rows`, with None wherever a pipe is about to be waited for."""
    name = "stdin" if str(path) == STDIN else str(path)
    lines = _lines(environment, path, name)
    rows = {"jsonl": _objects, "lines": _plain}.get(kind)
    found = False
    for row in rows(lines) if rows else _table(lines, _DELIMITERS[kind]):
        found = found or row is not None
        yield row
    if not found:
        raise InputError(name, "is empty")


#: What to call a line in errors, and its text with its end; None where the next is waited for.
_Lines = Iterator[tuple[str, str] | None]


def _lines(environment: Environment, path: Path, name: str) -> _Lines:
    if name != "stdin" and path.exists() and not path.is_file() and not path.is_fifo():
        raise InputError(name, "is not a file")
    try:
        opened = nullcontext(environment.stdin_buffer) if name == "stdin" else path.open("rb")
        with cast(IO[bytes], opened) as file:
            number = 0
            for line in lines_as_they_come(file, _LONGEST + 1):
                if line is None:
                    yield None
                    continue
                number += 1
                subject = f"{name}: line {number}"
                if len(line) > _LONGEST:
                    raise InputError(subject, f"is longer than {_LONGEST >> 20} MiB")
                yield subject, _decoded(line, subject, first=number == 1)
    except OSError as error:
        raise InputError(name, error.strerror or str(error)) from None


def _decoded(line: bytes, subject: str, *, first: bool) -> str:
    try:
        return line.decode("utf-8-sig" if first else "utf-8")
    except UnicodeDecodeError as error:
        reason = f"is not UTF-8 at byte {error.start + 1}"
        raise InputError(subject, reason, "iconv -t UTF-8 converts files") from None


def _objects(lines: _Lines) -> Iterator[Row | None]:
    for each in lines:
        if each is None:
            yield None
        elif each[1].strip():
            subject, line = each
            yield Row(subject, parse_object(line, subject))


def _plain(lines: _Lines) -> Iterator[Row | None]:
    """A row for each line; empty ones are errors, unless nothing comes after them."""
    empty: str | None = None
    for each in lines:
        if each is None:
            yield None
            continue
        subject, line = each
        text = line.removesuffix("\n").removesuffix("\r")
        if not text.strip():
            empty = empty or subject
            continue
        if empty is not None:
            raise InputError(empty, "is empty")
        yield Row(subject, {"": text})


def _table(lines: _Lines, delimiter: str) -> Iterator[Row | None]:
    """Rows under the heads of the first one."""
    heads: list[str] | None = None
    for each in _records(lines, delimiter):
        if each is None:
            yield None
            continue
        subject, cells = each
        if heads is None:
            heads = cells
            twice = next((head for head in heads if heads.count(head) > 1), None)
            if twice is not None:
                raise InputError(subject, f"has the column {twice!r} twice")
            continue
        if len(cells) != len(heads):
            raise InputError(subject, f"has {len(cells)} cells under {len(heads)} heads")
        yield Row(subject, dict(zip(heads, cells, strict=True)))


def _records(lines: _Lines, delimiter: str) -> Iterator[tuple[str, list[str]] | None]:
    """The cells of each record that has any, with the line that it begins on."""
    held: list[str] = []
    begun, quotes, size = "", 0, 0
    for each in lines:
        if each is None:
            yield None
            continue
        subject, line = each
        begun = begun or subject
        held.append(line)
        quotes += line.count('"')
        size += len(line)
        if size > _LONGEST:
            raise InputError(begun, f"has a quote that is not closed within {_LONGEST >> 20} MiB")
        # A quote within quotes is doubled, so that an odd number of them leaves a cell open.
        if quotes % 2 == 0:
            cells = _cells(held, begun, delimiter)
            if cells:
                yield begun, cells
            held, begun, quotes, size = [], "", 0, 0
    if held:
        yield begun, _cells(held, begun, delimiter)


def _cells(lines: list[str], subject: str, delimiter: str) -> list[str]:
    csv.field_size_limit(_LONGEST)
    try:
        return next(csv.reader(lines, delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise InputError(subject, str(error)) from None


def known_kind(path: Path, flag: str, more: tuple[str, ...] = ()) -> str:
    """The kind of a file by its name. Raises UsageError for a name that tells none."""
    kind = kind_of(path)
    if kind is None:
        known = ", ".join((*_BY_SUFFIX, *more))
        raise UsageError(flag, f"{path} ends in none of {known}")
    return kind
