"""THE reader of rows: plain lines, JSON lines, CSV, TSV.

They come as they are asked for, so that a bad row takes nothing from those before it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gptcli.cli.environment import Environment
from gptcli.cli.input.lines import LONGEST, Line, Lines, lines_of_file, name_of
from gptcli.errors import InputError, UsageError

_BY_SUFFIX = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv"}
_DELIMITERS = {"csv": ",", "tsv": "\t"}


@dataclass(frozen=True)
class Row:
    """A row; `subject` names it in errors, `number` is that of its first line, from 1.

    A plain line's text is under the empty name.
    """

    subject: str
    number: int
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
        return self._whole(value, repr(field))

    def fixed(self, field: str, default: str | None = None) -> str:
        """The text under a name that no flag changes. Raises InputError where there is none."""
        value = self.values.get(field, default)
        if not isinstance(value, str):
            raise InputError(self.subject, f'has no "{field}" that is a text')
        return self._whole(value, f'"{field}"')

    def _whole(self, value: str, name: str) -> str:
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InputError(self.subject, f"{name} holds half of a surrogate pair") from None
        return value


def kind_of(path: Path) -> str | None:
    """jsonl, csv or tsv by the name of a file, None for any other."""
    return _BY_SUFFIX.get(path.suffix.lower())


def known_kind(path: Path, flag: str, more: tuple[str, ...] = ()) -> str:
    """The kind of a file by its name. Raises UsageError for a name that tells none."""
    kind = kind_of(path)
    if kind is None:
        known = ", ".join((*_BY_SUFFIX, *more))
        raise UsageError(flag, f"{path} ends in none of {known}")
    return kind


def read_rows(environment: Environment, path: Path, kind: str) -> Iterator[Row]:
    """The rows of a file, or of stdin for `-`.

    Raises InputError, at the row at which it is found, for what is no such row or not UTF-8, and
    for a file without rows.
    """
    return (row for row in rows_as_they_come(environment, path, kind) if row is not None)


def rows_as_they_come(environment: Environment, path: Path, kind: str) -> Iterator[Row | None]:
    """As `read_rows`, with None wherever a pipe is about to be waited for."""
    found = False
    for row in rows_of(lines_of_file(environment, path), kind):
        found = found or row is not None
        yield row
    if not found:
        raise InputError(name_of(path), "is empty")


def rows_of(lines: Lines, kind: str, *, spaces: bool = False) -> Iterator[Row | None]:
    """The rows of lines, perhaps none; None where the lines have one.

    kind: lines, jsonl, csv or tsv. spaces: plain lines that have nothing but spaces are rows too.
    """
    if kind == "lines":
        return _plain(lines, spaces)
    return _objects(lines) if kind == "jsonl" else _table(lines, _DELIMITERS[kind])


def _objects(lines: Lines) -> Iterator[Row | None]:
    """A row for each line; empty ones are passed over."""
    for line in lines:
        if line is None:
            yield None
        elif line.text.strip():
            yield Row(line.subject, line.number, _object(line))


def _object(line: Line) -> dict[str, Any]:
    try:
        value = json.loads(line.text, object_pairs_hook=_unique(line.subject))
    except (ValueError, RecursionError) as error:
        raise InputError(line.subject, f"is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InputError(line.subject, "is not a JSON object")
    return value


def _unique(subject: str) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    def made(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise InputError(subject, f"has the key {twice!r} twice")
        return found

    return made


def _plain(lines: Lines, spaces: bool) -> Iterator[Row | None]:
    """A row for each line; empty ones are errors, unless nothing comes after them."""
    empty: str | None = None
    for line in lines:
        if line is None:
            yield None
            continue
        text = line.text.removesuffix("\n").removesuffix("\r")
        if not (text if spaces else text.strip()):
            empty = empty or line.subject
            continue
        if empty is not None:
            raise InputError(empty, "is empty")
        yield Row(line.subject, line.number, {"": text})


def _table(lines: Lines, delimiter: str) -> Iterator[Row | None]:
    """Rows under the heads of the first one."""
    heads: list[str] | None = None
    for each in _records(lines, delimiter):
        if each is None:
            yield None
            continue
        begun, cells = each
        if heads is None:
            heads = cells
            twice = next((head for head in heads if heads.count(head) > 1), None)
            if twice is not None:
                raise InputError(begun.subject, f"has the column {twice!r} twice")
            continue
        if len(cells) != len(heads):
            raise InputError(begun.subject, f"has {len(cells)} cells under {len(heads)} heads")
        yield Row(begun.subject, begun.number, dict(zip(heads, cells, strict=True)))


def _records(lines: Lines, delimiter: str) -> Iterator[tuple[Line, list[str]] | None]:
    """The cells of each record that has any, with the line that it begins on."""
    held: list[str] = []
    begun: Line | None = None
    quotes, size = 0, 0
    for line in lines:
        if line is None:
            yield None
            continue
        begun = begun or line
        held.append(line.text)
        quotes += line.text.count('"')
        size += len(line.text)
        if size > LONGEST:
            reason = f"has a quote that is not closed within {LONGEST >> 20} MiB"
            raise InputError(begun.subject, reason)
        # A quote within quotes is doubled, so that an odd number of them leaves a cell open.
        if quotes % 2 == 0:
            cells = _cells(held, begun, delimiter)
            if cells:
                yield begun, cells
            held, begun, quotes, size = [], None, 0, 0
    if begun is not None:
        yield begun, _cells(held, begun, delimiter)


def _cells(lines: list[str], begun: Line, delimiter: str) -> list[str]:
    csv.field_size_limit(LONGEST)
    try:
        return next(csv.reader(lines, delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise InputError(begun.subject, str(error)) from None
