"""JSON lines in: one text to be scored on each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from gptcli.cli.environment import Environment
from gptcli.cli.flags.source import Spoken
from gptcli.cli.input.json_lines import parse_object, text_of
from gptcli.errors import InputError, UsageError

_STDIN = "-"
#: Longer than any text that a context holds many times over; without it a file that has no
#: newlines would be read at once.
_MAX_LINE = 64 << 20


@dataclass(frozen=True)
class TextLine:
    """A line's text and context. `subject` names the line in errors, `number` counts from 1."""

    subject: str
    number: int
    text: str
    context: str


def read_text_lines(environment: Environment, source: Spoken) -> Iterator[TextLine]:
    """Objects with "text" and perhaps "context", as they come; stdin where no file is named.

    Empty lines are passed over, other keys are left alone. Raises InputError with the number of a
    line that is no such object, after the lines before it.
    """
    if source.prompt not in (None, _STDIN):
        raise UsageError("--jsonl", "reads files (-f) or stdin, so there can be no text as well")
    if not source.file and environment.interactive and source.prompt is None:
        raise UsageError("--jsonl", "needs a file (-f) or a pipe to read from")
    for file in source.file or (Path(_STDIN),):
        yield from _lines(environment, file)


def _lines(environment: Environment, file: Path) -> Iterator[TextLine]:
    name = "stdin" if str(file) == _STDIN else str(file)
    try:
        with cast(
            IO[bytes],
            nullcontext(environment.stdin_buffer) if name == "stdin" else file.open("rb"),
        ) as source:
            number = 0
            while line := source.readline(_MAX_LINE + 1):
                number += 1
                if len(line) > _MAX_LINE:
                    raise InputError(
                        f"{name}: line {number}", f"is longer than {_MAX_LINE >> 20} MiB"
                    )
                if line.strip():
                    yield _parsed(f"{name}: line {number}", number, line)
    except OSError as error:
        raise InputError(name, error.strerror or str(error)) from None


def _parsed(subject: str, number: int, line: bytes) -> TextLine:
    try:
        decoded = line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise InputError(subject, f"is not UTF-8 at byte {error.start}") from None
    value = parse_object(decoded, subject)
    text, context = text_of(value, "text", subject), text_of(value, "context", subject, "")
    return TextLine(subject, number, text, context)
