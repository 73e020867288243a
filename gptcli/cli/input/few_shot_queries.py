"""The queries of a command line, and the rows of an evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gptcli.cli.input.few_shot_examples import Given
from gptcli.cli.input.lines import STDIN
from gptcli.cli.input.prompt import is_interactive, read_prompt
from gptcli.cli.input.rows import Row, kind_of, known_kind, read_rows, rows_as_they_come
from gptcli.errors import InputError, UsageError
from gptcli.types.few_shot import Query

_EXAMPLE = 'gptcli few-shot --preset translate "Good evening."'


@dataclass(frozen=True)
class Expected(Query):
    """A query and the answer that is due."""

    output: str


def queries_of(
    argument: str | None,
    option: str | None,
    files: Sequence[Path],
    queries: Path | None,
    *,
    kind: str | None,
    field: str,
    verbatim: bool,
) -> Iterator[Query | None]:
    """One query from argument, option or files; else those of `queries`, else those of a pipe.

    Many come as they are asked for, with None wherever a pipe has no more for the moment. Raises
    UsageError where there is none, and InputError at a row that is none.
    """
    if argument is not None or option is not None or files:
        if kind is not None:
            raise UsageError("--queries-format", "needs --queries or a pipe")
        text = read_prompt(
            argument, option, files, verbatim=verbatim, what="query", example=_EXAMPLE, piped=False
        )
        if not text.strip():
            raise InputError("query", "is empty")
        return iter((Query("query", text),))
    if queries is None:
        if is_interactive():
            raise UsageError("query", "is missing", f"for example: {_EXAMPLE}")
        queries = Path(STDIN)
    if kind is None and queries.suffix.lower() == ".json":
        hint = "if it has an object on each line: --queries-format jsonl"
        raise UsageError("--queries", f"{queries} may be one JSON value, not a query a line", hint)
    return _rows(queries, kind or kind_of(queries) or "lines", field)


def _rows(path: Path, kind: str, field: str) -> Iterator[Query | None]:
    name = "" if kind == "lines" else field
    for row in rows_as_they_come(path, kind):
        yield None if row is None else Query(row.subject, _input(row, name))


def _input(row: Row, name: str) -> str:
    text = row.text(name, "--input-field")
    if not text.strip():
        raise InputError(row.subject, f"{name!r} is empty" if name else "is empty")
    return text


def expected_rows(
    path: Path, given: Given, labels: Sequence[str], kind: str | None
) -> list[Expected]:
    """All rows of an evaluation. Raises InputError for a label that is none of those compared."""
    if kind == "lines":
        raise UsageError("--queries-format", "lines have no outputs to compare with")
    found = []
    for row in read_rows(path, kind or known_kind(path, "--evaluate")):
        text = _input(row, given.input_field)
        output = row.text(given.output_field, "--output-field")
        if labels and output not in labels:
            known = ", ".join(map(repr, labels))
            raise InputError(row.subject, f"{output!r} is none of the labels {known}")
        found.append(Expected(row.subject, text, output))
    return found
