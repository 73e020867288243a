"""Many prompts or texts in one input, a line or a JSON object each: `--lines`, `--jsonl`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gptcli.cli.environment import Environment
from gptcli.cli.flags.source import Spoken
from gptcli.cli.input.lines import STDIN, lines_of_file, lines_of_text
from gptcli.cli.input.prompt import looks_at_stdin
from gptcli.cli.input.rows import rows_of
from gptcli.errors import InputError, UsageError
from gptcli.types.rows import Row

#: Bytes of a line: longer than any text that a context holds many times over.
_LONGEST = 64 << 20


def prompts(text: str, subject: str, kind: str) -> Iterator[tuple[str, str]]:
    """(what to call it in an error, prompt) of each row: a line, or of jsonl its "prompt".

    They come as they are asked for, so that a bad line takes nothing from those before it. Raises
    InputError for a row that is none, for an empty prompt, and where there is no row.
    """
    found = False
    for row in rows_of(lines_of_text(text, subject), kind, spaces=True):
        if row is None:
            continue
        prompt = row.fixed("prompt") if kind == "jsonl" else row.fixed("")
        if not prompt:
            raise InputError(row.subject, "is empty")
        found = True
        yield row.subject, prompt
    if not found:
        raise InputError(subject, "is empty")


def texts(environment: Environment, source: Spoken) -> Iterator[Row | None]:
    """JSON objects of texts, as they come; stdin where no file is named.

    None wherever a pipe is about to be waited for. Raises InputError with the number of a line that
    is no object, after the lines before it.
    """
    if source.prompt not in (None, STDIN):
        raise UsageError("--jsonl", "reads files (-f) or stdin, so there can be no text as well")
    if source.no_stdin and source.names_stdin:
        raise UsageError("--no-stdin", "- reads the texts from there")
    if not (source.file or source.prompt or looks_at_stdin(environment, source)):
        raise UsageError("--jsonl", "needs a file (-f) or a pipe to read from")
    for file in source.file or (Path(STDIN),):
        yield from rows_of(lines_of_file(environment, file, _LONGEST), "jsonl")
