"""Tables of the user's file that hold a table for each name, as [endpoint.work] is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from gptcli.errors import UsageError
from gptcli.plain import dataclass

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True)
class Table:
    """A table of a name; `subject` names it in errors."""

    name: str
    subject: str
    values: Mapping[str, object]


def tables_of(said: object, kind: str, example: str, path: Path) -> Iterator[Table]:
    """What [KIND.NAME] of the file at `path` say. Raises UsageError for what is none such."""
    if not isinstance(said, Mapping):
        raise UsageError(f"{path}: {kind}", f"must be tables, as [{kind}.{example}] is")
    for name, values in said.items():
        subject = f"{path}: {kind}.{name}"
        if not _NAME.fullmatch(name):
            raise UsageError(subject, "a name has letters, digits, dots, dashes, and at most 64")
        if not isinstance(values, Mapping):
            raise UsageError(subject, f"must be a table, [{kind}.{name}]")
        yield Table(name, subject, values)
