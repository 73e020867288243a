"""A row of a file: values under names, and what errors call it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import islice
from typing import Any

from gptcli.errors import InputError
from gptcli.plain import dataclass

#: How many of its names an error about a row lists.
_NAMED = 20


@dataclass(frozen=True)
class Row:
    """A row; `subject` names it in errors, `number` is that of its first line, from 1.

    A plain line's text is under the empty name. fault: why it is no row, and has no values.
    table: its values are cells of a table, all of them texts, under names that all rows share.
    """

    subject: str
    number: int
    values: dict[str, Any]
    fault: InputError | None = None
    table: bool = False

    def text(self, field: str, flag: str) -> str:
        """The text under a name. Numbers and truth values are the text that JSON has for them.

        Raises InputError, which names the flag that chooses the column, where there is none.
        """
        if field not in self.values:
            known = ", ".join(map(repr, islice(self.values, _NAMED))) or "none"
            known += " …" if len(self.values) > _NAMED else ""
            raise InputError(
                self.subject, f"has no {field!r}, but {known}", f"{flag} names another"
            )
        value = self.values[field]
        if isinstance(value, bool | int | float):
            return json.dumps(value)
        if not isinstance(value, str):
            raise InputError(self.subject, f"{field!r} is not a text")
        return value

    def fixed(self, field: str) -> str:
        """The text under a name that no flag changes. Raises InputError where there is none."""
        value = self.values.get(field)
        if not isinstance(value, str):
            raise InputError(self.subject, f'has no "{field}" that is a text')
        return value


def given_twice(names: Iterable[str]) -> str | None:
    """The first name that was there before, None where all are different."""
    seen = set[str]()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
