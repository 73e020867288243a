"""The queries of a command line, and the rows of an evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gptcli.cli.few_shot_examples import Given
from gptcli.cli.prompt_input import is_interactive, read_prompt
from gptcli.cli.rows import STDIN, Rows, kind_of, known_kind
from gptcli.errors import InputError, UsageError
from gptcli.few_shot import Query

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
    return _rows(queries, kind or kind_of(queries) or "lines", field)


def _rows(path: Path, kind: str, field: str) -> Iterator[Query | None]:
    name = "" if kind == "lines" else field
    rows = Rows(path, kind)
    for row in rows:
        text = row.text(name, "--input-field")
        if not text.strip():
            raise InputError(row.subject, f"{name!r} is empty" if name else "is empty")
        yield Query(row.subject, text)
        if rows.waiting():
            yield None


def expected_rows(path: Path, given: Given, labels: Sequence[str]) -> list[Expected]:
    """All rows of an evaluation. Raises InputError for a label that is none of those compared."""
    found = []
    for row in Rows(path, known_kind(path, "--evaluate")):
        text = row.text(given.input_field, "--input-field")
        output = row.text(given.output_field, "--output-field")
        if labels and output not in labels:
            known = ", ".join(map(repr, labels))
            raise InputError(row.subject, f"{output!r} is none of the labels {known}")
        found.append(Expected(row.subject, text, output))
    return found
