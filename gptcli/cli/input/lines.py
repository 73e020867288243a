"""Lines of a file, a pipe or a text, as they come, each with what to call it in an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO, cast

from gptcli.cli.environment import Environment, is_silent
from gptcli.errors import InputError
from gptcli.plain import dataclass

STDIN = "-"
#: Bytes: longer than any text that a context holds.
LONGEST = 16 << 20
_PIECE = 1 << 16


@dataclass(frozen=True)
class Line:
    """A line with its end; `subject` names it in errors, `number` counts from 1.

    fault: why it is no text; it has none then.
    """

    subject: str
    number: int
    text: str
    fault: InputError | None = None


#: None wherever a pipe is about to be waited for.
Lines = Iterator[Line | None]


def lines_of_text(text: str, name: str) -> Lines:
    """The lines of a text that is there already. A newline at its end begins no line."""
    # Not splitlines: other separators may stand in a line.
    *ended, last = text.split("\n")
    for number, line in enumerate([*(f"{each}\n" for each in ended), *([last] if last else [])], 1):
        yield Line(f"{name}: line {number}", number, line)


def lines_of_file(
    environment: Environment, path: Path, longest: int = LONGEST, *, faults: bool = False
) -> Lines:
    """The lines of a file, or of stdin for `-`, of at most `longest` bytes each.

    Raises InputError, at the line at which it is found, for what cannot be read, is longer, or is
    not UTF-8; with `faults` the last two come as lines with a fault, and others follow.
    """
    name = name_of(path)
    try:
        with _opened(environment, path) as file:
            number, whole = 0, True
            for line in pieces(file, longest + 1):
                if line is None:
                    yield None
                    continue
                begins, whole = whole, line.endswith(b"\n")
                if not begins:
                    # What is left of a line that was too long.
                    continue
                number += 1
                found = _line(f"{name}: line {number}", number, line, longest)
                if found.fault is not None and not faults:
                    raise found.fault
                yield found
    except OSError as error:
        raise InputError(name, error.strerror or str(error)) from None


def _line(subject: str, number: int, line: bytes, longest: int) -> Line:
    if len(line) > longest:
        fault = InputError(subject, f"is longer than {longest >> 20} MiB")
        return Line(subject, number, "", fault)
    try:
        return Line(subject, number, _decoded(line, subject, first=number == 1))
    except InputError as error:
        return Line(subject, number, "", error)


def name_of(path: Path) -> str:
    """What errors call a file."""
    return "stdin" if str(path) == STDIN else str(path)


def _opened(environment: Environment, path: Path) -> nullcontext[BinaryIO] | BinaryIO:
    if str(path) == STDIN:
        return nullcontext(environment.stdin_buffer)
    if path.is_dir():
        raise InputError(str(path), "is not a file")
    return path.open("rb")


def _decoded(line: bytes, subject: str, *, first: bool) -> str:
    try:
        return line.decode("utf-8-sig" if first else "utf-8")
    except UnicodeDecodeError as error:
        reason = f"is not UTF-8 at byte {error.start + 1}"
        raise InputError(subject, reason, "iconv -t UTF-8 converts files") from None


def pieces(file: BinaryIO, longest: int) -> Iterator[bytes | None]:
    """Lines with their ends, cut after `longest` bytes; None whenever the next has yet to come.

    None comes before the file is waited for, so that who reads can do something else first. Where
    it cannot be told whether something has come, as of files that are no pipes, it never does.
    """
    held = b""
    while True:
        end = held.find(b"\n") + 1
        if not end and len(held) < longest:
            if is_silent(file, 0):
                yield None
            # read1 gives what has come; BinaryIO lacks it, but every file that we open so has it.
            piece = cast(bytes, file.read1(_PIECE))  # type: ignore[attr-defined]
            held += piece
            if piece:
                continue
            if not held:
                return
        end = min(end or len(held), longest)
        yield held[:end]
        held = held[end:]
