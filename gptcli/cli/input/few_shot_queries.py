"""The queries of a command line, and the rows of an evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from gptcli.cli.environment import Environment
from gptcli.cli.flags.answers import Queries
from gptcli.cli.flags.source import Spoken
from gptcli.cli.input.few_shot_examples import Given
from gptcli.cli.input.kinds import known_kind, told_kind
from gptcli.cli.input.lines import STDIN
from gptcli.cli.input.prompt import SILENT, looks_at_stdin, read_prompt
from gptcli.cli.input.rows import read_rows, rows_as_they_come
from gptcli.errors import InputError, UsageError
from gptcli.types.few_shot import Expected, Query
from gptcli.types.rows import Row
from gptcli.ui.terminal.messages import Messages

_EXAMPLE = 'gptcli few-shot --preset translate "Good evening."'


def queries_of(
    environment: Environment, source: Spoken, many: Queries, field: str, messages: Messages
) -> Iterator[Query | None]:
    """One query from files, a pipe, and argument or option, one of which is given besides it; else
    those of `queries`, else those of a pipe.

    Many come as they are asked for, with None wherever a pipe has no more for the moment. Raises
    UsageError where there is none, and InputError at a row that is none.
    """
    queries, kind = many.queries, many.queries_format
    if source.named:
        if kind is not None:
            raise UsageError("--queries-format", "needs --queries or a pipe")
        text = read_prompt(environment, source, messages, what="query", example=_EXAMPLE)
        if not text.strip():
            raise InputError("query", "is empty")
        return iter((Query("query", text),))
    if queries is None:
        if not looks_at_stdin(environment, source):
            raise UsageError("query", "is missing", f"for example: {_EXAMPLE}")
        queries = Path(STDIN)
    return _rows(environment, queries, told_kind(queries, kind, "--queries"), field, messages)


def _rows(
    environment: Environment, path: Path, kind: str, field: str, messages: Messages
) -> Iterator[Query | None]:
    name = "" if kind == "lines" else field
    silent = str(path) == STDIN
    for row in rows_as_they_come(environment, path, kind):
        yield None if row is None else Query(row.subject, _input(row, name))
        if row is None and silent:
            # Whoever asks for these has done what he could meanwhile.
            environment.wait_for_pipe(lambda: messages.hint(SILENT))
        # Once something has come, others may take their time.
        silent = False


def _input(row: Row, name: str) -> str:
    text = row.text(name, "--input-field")
    if not text.strip():
        raise InputError(row.subject, f"{name!r} is empty" if name else "is empty")
    return text


def expected_rows(
    environment: Environment, path: Path, given: Given, labels: Sequence[str], kind: str | None
) -> list[Expected]:
    """All rows of an evaluation. Raises InputError for a label that is none of those compared."""
    if kind == "lines":
        raise UsageError("--queries-format", "lines have no outputs to compare with")
    found = []
    for row in read_rows(environment, path, kind or known_kind(path, "--evaluate")):
        text = _input(row, given.input_field)
        output = row.text(given.output_field, "--output-field")
        if labels and output not in labels:
            known = ", ".join(map(repr, labels))
            raise InputError(row.subject, f"{output!r} is none of the labels {known}")
        found.append(Expected(row.subject, text, output))
    return found
