"""A row of a file: values under names, and what errors call it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from gptcli.errors import InputError


@dataclass(frozen=True)
class Row:
    """A row; `subject` names it in errors, `number` is that of its first line, from 1.

    A plain line's text is under the empty name. fault: why it is no row, and has no values.
    """

    subject: str
    number: int
    values: dict[str, Any]
    fault: InputError | None = None

    def text(self, field: str, flag: str) -> str:
        """The text under a name. Numbers and truth values are the text that JSON has for them.

        Raises InputError, which names the flag that chooses the column, where there is none.
        """
        if field not in self.values:
            known = ", ".join(map(repr, self.values)) or "none"
            raise InputError(
                self.subject, f"has no {field!r}, but {known}", f"{flag} names another"
            )
        value = self.values[field]
        if isinstance(value, bool | int | float):
            return json.dumps(value)
        if not isinstance(value, str):
            raise InputError(self.subject, f"{field!r} is not a text")
        return self.whole(value, repr(field))

    def fixed(self, field: str, default: str | None = None) -> str:
        """The text under a name that no flag changes. Raises InputError where there is none."""
        value = self.values.get(field, default)
        if not isinstance(value, str):
            raise InputError(self.subject, f'has no "{field}" that is a text')
        return self.whole(value, f'"{field}"')

    def whole(self, value: str, name: str) -> str:
        """The value. Raises InputError, which calls it by `name`, where it is no whole text."""
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InputError(self.subject, f"{name} holds half of a surrogate pair") from None
        return value
