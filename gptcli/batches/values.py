"""What a row says of its own settings, held to the limits that the flags have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from gptcli import config
from gptcli.batches.asked import Id
from gptcli.config import MOST, Limit
from gptcli.config.check import number_of
from gptcli.errors import InputError
from gptcli.types.rows import Row
from gptcli.types.sampling import SamplingWish

T = TypeVar("T")

#: Names that people know for the same thing.
_ALIASES = {
    "temp": "temperature",
    "repetition_penalty": "repeat_penalty",
    "max_new_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "n_predict": "max_tokens",
    "samples": "n",
}
_SAMPLING = tuple(f.name for f in fields(SamplingWish))
#: What a row may say beside its texts; all else in it is left alone.
SETTINGS = frozenset((*_SAMPLING, "max_tokens", "stop", "n", "logprobs", *_ALIASES))
#: As much as OpenAI's ids, many times over.
_LONGEST_ID = 1024
_LONGEST_NUMBER = 100


class Values:
    """A row's settings by their first names; None, and an empty cell of a table, say nothing."""

    def __init__(self, row: Row, values: Mapping[str, Any] | None = None) -> None:
        """values: those that hold, where they are not the row's own. Raises InputError."""
        self.row = row
        self._values: dict[str, Any] = {}
        for name, value in (row.values if values is None else values).items():
            if name not in SETTINGS or value is None or value == "":
                continue
            first = _ALIASES.get(name, name)
            if first in self._values:
                raise InputError(row.subject, f'says "{first}" twice, once as "{name}"')
            self._values[first] = value

    @property
    def any(self) -> bool:
        """Whether the row says a setting."""
        return bool(self._values)

    def has(self, name: str) -> bool:
        """Whether it says this one."""
        return name in self._values

    def refuse(self, names: frozenset[str], why: str) -> None:
        """Raise InputError for a setting that has no use here."""
        for name in self._values:
            if name in names:
                raise InputError(self.row.subject, f'"{name}" {why}')

    def sampling(self, default: SamplingWish) -> SamplingWish:
        """How to draw: the row's words before those of the command line. Without a seed."""
        found: dict[str, Any] = {"seed": None}
        for name in _SAMPLING:
            if name == "logit_bias" and self.has(name):
                found[name] = self._checked(name, _biases)
            elif name != "seed" and self.has(name):
                found[name] = self._checked(name, _setting(name))
        return replace(default, **found)

    @property
    def seed(self) -> int | None:
        """Its own, None where it says none."""
        return self._checked("seed", _setting("seed")) if self.has("seed") else None

    def max_tokens(self, default: int | None) -> int | None:
        """The most new tokens; None, which -1 asks for, for as many as fit."""
        limit = self._whole("max_tokens", Limit(-1, MOST))
        if limit is None:
            return default
        return None if limit < 0 else limit

    def stop(self, default: tuple[str, ...]) -> tuple[str, ...]:
        """Texts that end an answer."""
        return self._checked("stop", _stops) if self.has("stop") else default

    def samples(self, default: int) -> int:
        """How many answers."""
        found = self._whole("n", Limit(1, 4096))
        return default if found is None else found

    def logprobs(self, default: int | None) -> int | None:
        """How many likeliest tokens to tell at each place."""
        found = self._whole("logprobs", Limit(0, 1000))
        return default if found is None else found

    def _whole(self, name: str, limit: Limit) -> int | None:
        if name not in self._values:
            return None
        return self._checked(name, lambda value: _whole(value, limit))

    def _checked(self, name: str, check: Callable[[Any], T]) -> T:
        try:
            return check(self._values[name])
        except ValueError as error:
            raise InputError(self.row.subject, f'"{name}" {error}') from None


def _setting(name: str) -> Callable[[Any], Any]:
    return lambda value: config.check(SamplingWish, name, value)


def id_of(row: Row, name: str = "id") -> Id:
    """What a row calls itself. Raises InputError for what is no name."""
    found = row.values.get(name)
    if found is None or found == "":
        return None
    if isinstance(found, bool) or not isinstance(found, str | int):
        raise InputError(row.subject, f'"{name}" must be a text or a whole number')
    if len(str(found)[: _LONGEST_ID + 1]) > _LONGEST_ID:
        raise InputError(row.subject, f'"{name}" is longer than {_LONGEST_ID} characters')
    return row.whole(found, f'"{name}"') if isinstance(found, str) else found


def prompt_of(row: Row) -> str:
    """The `prompt`, or a plain line. Raises InputError where there is none."""
    found = row.fixed("" if "" in row.values else "prompt")
    if not found:
        raise InputError(row.subject, "is empty")
    return found


def texts_of(row: Row, name: str, value: object) -> tuple[str, ...]:
    """A list of texts. Raises InputError for anything else."""
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise InputError(row.subject, f'"{name}" must be a list of texts')
    return tuple(row.whole(each, f'"{name}"') for each in value)


def _whole(value: object, limit: Limit) -> int:
    if isinstance(value, str):
        # Python reads no more than some thousands of digits, and says so in its own way.
        if len(value) > _LONGEST_NUMBER:
            raise ValueError(f"must be a whole number, not {value!r:.40}")
        value = number_of(value, whole=True)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"must be a whole number, not {value!r:.40}")
    reason = limit.reason(value)
    if reason:
        raise ValueError(reason)
    return value


def _stops(value: object) -> tuple[str, ...]:
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(each, str) and each for each in found):
        raise ValueError("must be a text or a list of texts, none empty")
    for each in found:
        each.encode()
    return tuple(found)


def _biases(value: object) -> tuple[tuple[str, float], ...]:
    """OpenAI's object of ids and numbers, or texts as the flag has them."""
    if isinstance(value, dict):
        value = [f"{token}={_number(bias)}" for token, bias in value.items()]
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise ValueError("must be an object of tokens and numbers")
    return tuple(config.check(SamplingWish, "logit_bias", each) for each in found)  # type: ignore[misc]


def _number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be an object of tokens and numbers")
    return repr(value)
