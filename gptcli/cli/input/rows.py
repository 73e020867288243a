"""THE reader of rows: plain lines, JSON lines, CSV, TSV.

They come as they are asked for, so that a bad row takes nothing from those before it.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from gptcli.cli.environment import Environment
from gptcli.cli.input.lines import LONGEST, Line, Lines, lines_of_file, name_of
from gptcli.errors import InputError
from gptcli.plain import dataclass
from gptcli.types.rows import Row, given_twice

_DELIMITERS = {"csv": ",", "tsv": "\t"}
#: Empty lines that are held to see whether anything comes after them.
_MANY = 1000
#: Half of a pair that is one character, which may be by itself: no text then.
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
#: How many of its columns an error about a table lists.
_NAMED = 20


def read_rows(environment: Environment, path: Path, kind: str) -> Iterator[Row]:
    """The rows of a file, or of stdin for `-`.

    Raises InputError, at the row at which it is found, for what is no such row or not UTF-8, and
    for a file without rows.
    """
    return (row for row in rows_as_they_come(environment, path, kind) if row is not None)


def rows_as_they_come(
    environment: Environment, path: Path, kind: str, batch: Tolerant | None = None
) -> Iterator[Row | None]:
    """As `read_rows`, with None wherever a pipe is about to be waited for; `batch`: as below."""
    found = False
    lines = lines_of_file(environment, path, faults=batch is not None)
    for row in rows_of(lines, kind, batch=batch):
        found = found or row is not None
        yield row
    if not found:
        raise InputError(name_of(path), "is empty")


@dataclass
class Tolerant:
    """How the rows of a batch are read: what is none does not stop those after it.

    columns: of these a table must have one; heads: those that it has. empty: how many empty lines
    among plain ones were passed over, so far.
    """

    columns: tuple[str, ...]
    heads: tuple[str, ...] = ()
    empty: int = 0


def rows_of(
    lines: Lines, kind: str, *, spaces: bool = False, batch: Tolerant | None = None
) -> Iterator[Row | None]:
    """The rows of lines, perhaps none; None where the lines have one.

    kind: lines, jsonl, csv or tsv. spaces: plain lines that have nothing but spaces are rows too.
    batch: what is no row comes as a Row with a fault, in its place, and others follow; else the
    first raises its InputError. Empty plain lines are no rows there, and faults elsewhere.
    """
    if kind == "lines":
        rows = _plain(lines, spaces, batch)
    elif kind == "jsonl":
        rows = _objects(lines)
    else:
        rows = _table(lines, _DELIMITERS[kind], batch)
    return _sound(rows) if batch is None else rows


def _sound(rows: Iterator[Row | None]) -> Iterator[Row | None]:
    for row in rows:
        if row is not None and row.fault is not None:
            raise row.fault
        yield row


def _row(line: Line, values: Callable[[], dict[str, Any]], *, table: bool = False) -> Row:
    """The row that begins with a line, whatever is wrong with it."""
    try:
        if line.fault is not None:
            raise line.fault
        return Row(line.subject, line.number, values(), table=table)
    except InputError as error:
        return Row(line.subject, line.number, {}, error)


def _objects(lines: Lines) -> Iterator[Row | None]:
    """A row for each line; empty ones are passed over."""
    for line in lines:
        if line is None:
            yield None
        elif line.fault is not None or line.text.strip():
            yield _row(line, partial(_object, line))


def _object(line: Line) -> dict[str, Any]:
    try:
        value = json.loads(line.text, object_pairs_hook=_unique(line.subject))
    except json.JSONDecodeError as error:
        raise InputError(line.subject, f"is not JSON: {error}") from None
    except RecursionError:
        raise InputError(line.subject, "is JSON that is nested too deeply") from None
    except ValueError:
        raise InputError(line.subject, "is JSON with a number of too many digits") from None
    if not isinstance(value, dict):
        raise InputError(line.subject, "is not a JSON object")
    if _HALF.search(line.text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise InputError(line.subject, "holds half of a surrogate pair") from None
    return value


def _unique(subject: str) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    def made(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = given_twice(key for key, _ in pairs)
            raise InputError(subject, f"has the key {twice!r:.60} twice")
        return found

    return made


def _plain(lines: Lines, spaces: bool, batch: Tolerant | None) -> Iterator[Row | None]:
    """A row for each line; empty ones are faults or passed over, unless nothing comes after."""
    empty: list[Line] = []
    for line in lines:
        if line is None:
            yield None
            continue
        text = line.text.removesuffix("\n").removesuffix("\r")
        if line.fault is None and not (text if spaces else text.strip()):
            empty.append(line)
            if len(empty) < _MANY:
                continue
        if batch is not None:
            batch.empty += len(empty)
        for each in empty if batch is None else ():
            yield Row(each.subject, each.number, {}, InputError(each.subject, "is empty"))
        if line not in empty:
            yield _row(line, lambda text=text: {"": text})  # type: ignore[misc]
        empty.clear()


def _table(lines: Lines, delimiter: str, batch: Tolerant | None) -> Iterator[Row | None]:
    """Rows under the heads of the first one. Raises InputError for heads that are none, or have
    none of the columns that a batch needs.
    """
    heads: list[str] | None = None
    for each in _records(lines, delimiter):
        if each is None:
            yield None
            continue
        begun, cells = each
        if heads is None:
            if begun.fault is not None:
                raise begun.fault
            heads = cells
            twice = given_twice(heads)
            if twice is not None:
                raise InputError(begun.subject, f"has the column {twice!r:.60} twice")
            if batch is not None:
                batch.heads = tuple(heads)
                if not set(batch.columns) & set(heads):
                    wanted, there = " or ".join(batch.columns), ", ".join(heads[:_NAMED])
                    raise InputError(begun.subject, f"has no column {wanted}, but {there:.500}")
            continue
        yield _row(begun, partial(_under, begun, heads, cells), table=True)


def _under(begun: Line, heads: list[str], cells: list[str]) -> dict[str, Any]:
    if len(cells) != len(heads):
        raise InputError(begun.subject, f"has {len(cells)} cells under {len(heads)} heads")
    return dict(zip(heads, cells, strict=True))


def _records(lines: Lines, delimiter: str) -> Iterator[tuple[Line, list[str]] | None]:
    """The cells of each record that has any, with the line that it begins on; its faults are that
    line's.
    """
    held: list[str] = []
    begun: Line | None = None
    quotes, size = 0, 0
    for line in lines:
        if line is None:
            yield None
            continue
        begun = begun or line
        begun = replace(begun, fault=begun.fault or line.fault)
        held.append(line.text)
        quotes += line.text.count('"')
        size += len(line.text)
        if size > LONGEST:
            reason = f"has a quote that is not closed within {LONGEST >> 20} MiB"
            begun = replace(begun, fault=InputError(begun.subject, reason))
        # A quote within quotes is doubled, so that an odd number of them leaves a cell open.
        if quotes % 2 == 0 or begun.fault is not None:
            yield from _record(held, begun, delimiter)
            held, begun, quotes, size = [], None, 0, 0
    if begun is not None:
        yield from _record(held, begun, delimiter)


def _record(lines: list[str], begun: Line, delimiter: str) -> Iterator[tuple[Line, list[str]]]:
    csv.field_size_limit(LONGEST)
    try:
        if begun.fault is not None:
            raise begun.fault
        cells = next(csv.reader(lines, delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        yield replace(begun, fault=InputError(begun.subject, str(error))), []
    except InputError:
        yield begun, []
    else:
        if cells:
            yield begun, cells
