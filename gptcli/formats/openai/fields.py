"""The fields of an object, taken one by one.

A field that nobody takes is refused by its name, unless it cannot change an answer: who asks for
something gets it, or learns that it is not to be had.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

from gptcli.config import Limit
from gptcli.errors import InputError

#: Fields of OpenAI's and of servers like it that say nothing about the answer.
HARMLESS = frozenset(
    {
        *("user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"),
        *("prompt_cache_retention", "parallel_tool_calls", "cache_prompt", "request_id"),
    }
)
#: Characters of a name that nobody knows, as an error tells it.
_NAMED = 80
#: How many fields are looked at for one that was meant.
_LOOKED_AT = 1000


class FieldError(InputError):
    """A field that cannot be; `subject` is its name. unknown: nobody here has one of that name."""

    def __init__(
        self, subject: str, reason: str, hint: str | None = None, *, unknown: bool = False
    ) -> None:
        super().__init__(subject, reason, hint)
        self.unknown = unknown


class Fields:
    """The fields of an object, null being as good as none. `at` is what stands before a name.

    left_alone: whether a field of this name may stay, whatever it says. hint: for a field that has
    to go, and is like none that is known.
    """

    def __init__(
        self,
        given: Mapping[str, Any],
        at: str = "",
        *,
        left_alone: Callable[[str], bool] = HARMLESS.__contains__,
        hint: str | None = None,
    ) -> None:
        self._given = {name: value for name, value in given.items() if value is not None}
        self._at, self._left_alone, self._hint = at, left_alone, hint
        self._known: set[str] = set()

    def has(self, name: str) -> bool:
        """Whether a field is there, and not taken yet."""
        return name in self._given

    def take(self, name: str) -> Any:
        """A field of any kind, None where it is not there."""
        self._known.add(name)
        return self._given.pop(name, None)

    def text(self, name: str) -> str | None:
        """A text."""
        value = self.take(name)
        if value is not None and not isinstance(value, str):
            raise self.invalid(name, "must be a text")
        return value

    def needed(self, name: str) -> str:
        """A text that has to be there."""
        value = self.text(name)
        if value is None:
            near = difflib.get_close_matches(name, islice(self._given, _LOOKED_AT), n=1)
            raise self.invalid(name, "is missing" + (f', but "{near[0]}" is there' if near else ""))
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """True or false."""
        value = self.take(name)
        if value is not None and not isinstance(value, bool):
            raise self.invalid(name, "must be true or false")
        return default if value is None else value

    def word(self, name: str, words: Sequence[str]) -> str:
        """One of these words, the first by default."""
        value = self.take(name)
        if value is not None and value not in words:
            raise self.invalid(name, f"must be one of {', '.join(words)}")
        return words[0] if value is None else str(value)

    def number(self, name: str, limit: Limit) -> float | None:
        """A number in this range."""
        value = self._number(name, limit)
        return None if value is None else float(value)

    def whole(self, name: str, limit: Limit) -> int | None:
        """A whole number in this range; 3.0 is one, as JSON has one kind of numbers."""
        value = self._number(name, limit)
        if value is not None and value != int(value):
            raise self.invalid(name, "must be a whole number")
        return None if value is None else int(value)

    def texts(self, name: str, most: int, longest: int) -> tuple[str, ...]:
        """A text or a list of some, none empty."""
        value = self.take(name)
        found = [value] if isinstance(value, str) else [] if value is None else value
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise self.invalid(name, "must be a text or a list of texts")
        if "" in found:
            raise self.invalid(name, "must be a text or a list of texts, none empty")
        if len(found) > most or any(len(each) > longest for each in found):
            raise self.invalid(
                name, f"must be at most {most} texts of at most {longest} characters"
            )
        return tuple(found)

    def object(self, name: str) -> Fields:
        """The fields of a field; none where it is not there."""
        value = self.take(name)
        if value is not None and not isinstance(value, dict):
            raise self.invalid(name, "must be an object")
        return self.within(value or {}, name)

    def within(self, given: Mapping[str, Any], name: str) -> Fields:
        """The fields of an object that stands within this one; all of them have to be known."""
        return Fields(given, f"{self._at}{name}.", left_alone=lambda _: False)

    def only(self, name: str, allowed: Sequence[Any], why: str) -> None:
        """Refuse a field unless it asks for what is done anyway."""
        value = self.take(name)
        if value is not None and value not in allowed:
            raise self.invalid(name, why)

    def done(self) -> None:
        """Refuse what is left and matters."""
        for name in self._given:
            if not self._left_alone(name):
                near = difflib.get_close_matches(name[:_NAMED], sorted(self._known), n=1)
                hint = f"did you mean {near[0]}?" if near else self._hint
                raise FieldError(
                    f"{self._at}{name[:_NAMED]}", "is not known here", hint, unknown=True
                )

    def invalid(self, name: str, message: str) -> FieldError:
        """The error of a field."""
        return FieldError(f"{self._at}{name}", message)

    def _number(self, name: str, limit: Limit) -> int | float | None:
        value = self.take(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.invalid(name, "must be a number")
        if (reason := limit.reason(value)) is not None:
            raise self.invalid(name, reason)
        return value
