"""Texts, a row each, for what looks at many: lines, or a column of rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gptcli.cli.environment import Environment
from gptcli.cli.flags.texts import Texts
from gptcli.cli.input.kinds import told_kind
from gptcli.cli.input.rows import read_rows
from gptcli.errors import InputError
from gptcli.plain import dataclass

#: Under which name the text is where nobody says: the first of these that a row has.
_NAMES = ("prompt", "text")


@dataclass(frozen=True)
class TextRow:
    """A text; `subject` names it in errors, `line` is that of its beginning, from 1."""

    subject: str
    line: int
    text: str


def text_rows(environment: Environment, path: Path, flag: str, texts: Texts) -> Iterator[TextRow]:
    """The texts of a file, or of stdin for `-`, as they come; flag: the one that names it.

    Raises InputError at the row at which it is found, also for an empty text, and UsageError as
    `told_kind`.
    """
    kind = told_kind(path, texts.texts_format, flag, "--texts-format")
    for row in read_rows(environment, path, kind):
        names = ("",) if kind == "lines" else (texts.field,) if texts.field else _NAMES
        name = next((each for each in names if each in row.values), names[0])
        text = row.text(name, "--field")
        if not text:
            raise InputError(row.subject, f"{name!r} is empty" if name else "is empty")
        yield TextRow(row.subject, row.number, text)
