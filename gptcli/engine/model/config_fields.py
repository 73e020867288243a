"""Reading config.json: typed, bounded, and strict about what would change the maths.

A model directory is untrusted, so no number is believed before it is checked, and a feature that
the decoder does not have is refused by name instead of being ignored.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from gptcli.errors import ModelError

_MAX_COUNT = 1 << 24
_NONE: tuple[object, ...] = ("", [], {})
#: Each layer is built before its tensors are looked for: a bad number must not cost minutes.
_MAX_LAYERS = 1 << 12


class ConfigFields:
    """The fields of one config.json. Every reader raises ModelError naming the file and field."""

    def __init__(self, subject: str, fields: Mapping[str, Any]) -> None:
        self.subject = subject
        self._fields = fields

    def bad(self, name: str, reason: str) -> ModelError:
        """The error that says what is wrong with a field."""
        return ModelError(self.subject, f"{name!r} {reason}")

    def over(self, defaults: dict[str, Any]) -> ConfigFields:
        """The same fields, with these where they are absent or null."""
        given = {name: value for name, value in self._fields.items() if value is not None}
        nulls = dict.fromkeys(self._fields.keys() - defaults.keys())
        return ConfigFields(self.subject, defaults | nulls | given)

    def renamed(self, names: Mapping[str, str]) -> ConfigFields:
        """The same fields, those that have another name under the one that is read: other → own.

        Raises ModelError where both are there and differ.
        """
        fields = dict(self._fields)
        for other, own in names.items():
            value, stated = self.get(other), fields.get(own)
            if value is None:
                continue
            if stated is not None and stated != value:
                reason = f"is {_short(value)}, but {own!r}, which means the same, {_short(stated)}"
                raise self.bad(other, reason)
            fields[own] = value
        return ConfigFields(self.subject, fields)

    def get(self, name: str) -> Any:
        """The raw value, None where it is absent or null."""
        return self._fields.get(name)

    def has(self, name: str) -> bool:
        """Whether the field is there, be it null."""
        return name in self._fields

    def names(self) -> list[str]:
        """The names of all fields."""
        return list(self._fields)

    def pair(self, name: str, default: tuple[int, int] | None = None) -> tuple[int, int]:
        """Two whole numbers, as `count` has them."""
        value = self.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, list) or len(value) != 2:
            raise self.bad(name, f"must be two whole numbers, not {_short(value)}")
        first, second = (ConfigFields(self.subject, {name: number}) for number in value)
        return first.count(name), second.count(name)

    def count(self, name: str, default: int | None = None) -> int:
        """A whole number from 1 to 2**24: layers, heads, widths, tokens."""
        value = self.get(name)
        if value is None:
            value = default
        if value is None:
            raise self.bad(name, "is missing")
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MAX_COUNT:
            reason = f"must be a whole number from 1 to {_MAX_COUNT}, not {_short(value)}"
            raise self.bad(name, reason)
        return value

    def layers(self, name: str, default: int | None = None) -> int:
        """How many layers there are."""
        value = self.count(name, default)
        if value > _MAX_LAYERS:
            raise self.bad(name, f"says {value} layers, more than {_MAX_LAYERS}")
        return value

    def optional_count(self, name: str) -> int | None:
        """The same, None where it is absent or null."""
        return None if self.get(name) is None else self.count(name)

    def number(self, name: str, default: float | None = None) -> float:
        """A finite number above 0: an epsilon, a rope base, a scaling factor."""
        value = self.get(name)
        if value is None:
            value = default
        if value is None:
            raise self.bad(name, "is missing")
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.bad(name, f"must be a number, not {_short(value)}")
        # Compared, not converted: a whole number may be too large for a float.
        if not 0 < value <= sys.float_info.max:
            raise self.bad(name, f"must be finite and more than 0, not {_short(value)}")
        return float(value)

    def made(self, name: str, value: float) -> float:
        """A number that was made of the field: products of large ones are not finite."""
        return ConfigFields(self.subject, {name: value}).number(name)

    def numbers(self, name: str, length: int) -> tuple[float, ...]:
        """So many finite numbers above 0."""
        return tuple(
            ConfigFields(self.subject, {name: value}).number(name)
            for value in self._items(name, length)
        )

    def counts(self, name: str, length: int) -> tuple[int, ...] | None:
        """So many whole numbers, as `count` has them; None where absent."""
        if self.get(name) is None:
            return None
        return tuple(
            ConfigFields(self.subject, {name: value}).count(name)
            for value in self._items(name, length)
        )

    def flags(self, name: str, length: int) -> tuple[bool, ...] | None:
        """So many times true or false, which may be written as 1 and 0; None where absent."""
        if self.get(name) is None:
            return None
        values = self._items(name, length)
        if any(value not in (0, 1) or isinstance(value, float) for value in values):
            raise self.bad(name, f"must hold true and false, not {_short(values)}")
        return tuple(bool(value) for value in values)

    def words(self, name: str, length: int, known: tuple[str, ...]) -> tuple[str, ...] | None:
        """So many texts out of some that are known; None where absent."""
        if self.get(name) is None:
            return None
        values = self._items(name, length)
        for value in values:
            if value not in known:
                reason = f"{_short(value)} is not supported (known: {', '.join(known)})"
                raise self.bad(name, reason)
        return tuple(values)

    def indices(self, name: str) -> frozenset[int]:
        """Whole numbers from 0 on, none where the field is absent."""
        value = self.get(name)
        value = [] if value is None else value
        if not isinstance(value, list) or any(type(i) is not int or i < 0 for i in value):
            raise self.bad(name, f"must be a list of whole numbers, not {_short(value)}")
        return frozenset(value)

    def _items(self, name: str, length: int) -> list[Any]:
        value = self.get(name)
        if not isinstance(value, list) or len(value) != length:
            raise self.bad(name, f"must be a list of {length}, not {_short(value)}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """A true or false."""
        value = self.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.bad(name, f"must be true or false, not {_short(value)}")
        return value

    def word(self, name: str, default: str | None = None) -> str:
        """A text."""
        value = self.get(name)
        if value is None:
            value = default
        if not isinstance(value, str):
            reason = "is missing" if value is None else f"must be a text, not {_short(value)}"
            raise self.bad(name, reason)
        return value

    def one_of(self, name: str, known: dict[str, Any], default: str) -> Any:
        """What `known` has for the text in this field."""
        value = self.word(name, default)
        if value not in known:
            raise self.bad(name, f"{_short(value)} is not supported (known: {', '.join(known)})")
        return known[value]

    def sub(self, name: str) -> ConfigFields | None:
        """The object in this field, None where it is absent or null."""
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.bad(name, f"must be an object, not {_short(value)}")
        return ConfigFields(f"{self.subject}: {name}", value)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts; one text alone is a list of one, and none where it is absent or null."""
        value = self.get(name)
        found = [value] if isinstance(value, str) else [] if value is None else value
        if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
            raise self.bad(name, f"must be a list of texts, not {_short(value)}")
        return tuple(found)

    def refuse_others(self, *known: str) -> None:
        """Refuse every field that is not known, unless it is off: null, false or empty.

        Numbers and texts are never off: a 0 may well mean something.
        """
        for name, value in self._fields.items():
            if (
                name not in known
                and value is not None
                and value is not False
                and value not in _NONE
            ):
                raise self.bad(name, f"is {_short(value)}, which gptcli does not know")

    def refuse_unless(self, name: str, *allowed: object) -> None:
        """Refuse a feature that the decoder does not have. Absent and null are always allowed."""
        value = self.get(name)
        if value is not None and value not in allowed:
            raise self.bad(name, f"is {_short(value)}, which gptcli does not support")


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
