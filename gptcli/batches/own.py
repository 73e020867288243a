"""A row of our own form as the fields of a body, which OpenAI's are as well: see formats.openai."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from gptcli import config
from gptcli.batches.asked import Id
from gptcli.config import MOST
from gptcli.config.check import number_of
from gptcli.errors import InputError
from gptcli.formats.openai.constraint import FORMS
from gptcli.formats.openai.drawing import SAMPLING, Bounds
from gptcli.formats.openai.fields import HARMLESS, FieldError, Fields
from gptcli.types.rows import Row
from gptcli.types.sampling import SamplingWish

#: Names that people know for the same thing.
_ALIASES = {
    "temp": "temperature",
    "repetition_penalty": "repeat_penalty",
    "max_new_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "n_predict": "max_tokens",
    "samples": "n",
}
#: What a row may say beside its texts.
SETTINGS = frozenset(
    (
        *(*SAMPLING, "max_tokens", "stop", "n", "logprobs", "top_logprobs", *_ALIASES),
        # Other forms have names that columns of a user's own may have, or take an object.
        *("regex", "one_of"),
    )
)
#: Settings that are texts, and what is a list, by what may stand between its parts in a cell.
_TEXTS = frozenset(("stop", "logit_bias", "samplers", "dry_sequence_breakers", "ban", "regex"))
_LISTS = {"messages": None, "choices": "|", "one_of": "|"}
#: The limits that the flags have.
BOUNDS = Bounds(samples=4096, stops=MOST, stop_length=MOST, top=1000, biases=MOST)
#: How a field begins that is the user's own.
_USERS = "x_"
#: As much as OpenAI's ids, many times over.
_LONGEST_ID = 1024
#: Characters of a column's name, as a message tells it.
_LONGEST_HEAD = 80


@contextmanager
def told_of(row: Row) -> Iterator[None]:
    """Turns the error of a field into that of a row."""
    try:
        yield
    except FieldError as error:
        reason = f'"{error.subject}": {error.reason}' if error.subject else error.reason
        raise InputError(row.subject, reason, error.hint) from None


def fields_of(row: Row, *texts: str) -> Fields:
    """A row's fields, settings by their first names; texts: what else it may hold.

    Of a table all other columns are left alone. Raises InputError for a setting that is said
    twice, and FieldError for a cell that is no list where one is due.
    """
    found: dict[str, Any] = {}
    for name, value in row.values.items():
        setting = name in SETTINGS and name not in texts
        first = _ALIASES.get(name, name) if setting else name
        if row.table:
            value = _cell(first, value) if setting or name in texts else None
        if value is None or name == "id":
            continue
        if first in found:
            raise InputError(row.subject, f'says "{first}" twice, once as "{name}"')
        found[first] = value
    return Fields(found, left_alone=_is_users, hint=f"of your own: {_USERS}…, or in metadata")


def _is_users(name: str) -> bool:
    return name in HARMLESS or name.startswith(_USERS)


def slips(heads: Iterable[str]) -> Iterator[str]:
    """What to tell of columns that are left alone, and are called much as a setting is."""
    for name in heads:
        near = difflib.get_close_matches(name[:_LONGEST_HEAD], sorted(SETTINGS), n=1, cutoff=0.8)
        if near and name not in SETTINGS:
            yield f"the column {name[:_LONGEST_HEAD]} is left alone; did you mean {near[0]}?"


def has_settings(fields: Fields) -> bool:
    """Whether a row says a setting, none of which was taken yet."""
    return any(fields.has(name) for name in (*SETTINGS, *FORMS))


def text_of(fields: Fields, name: str) -> str:
    """The text under a name, or a plain line. Raises FieldError where there is none."""
    return fields.needed("" if fields.has("") else name)


def prompt_of(fields: Fields) -> str:
    """The same of a prompt, which cannot be empty."""
    name = "" if fields.has("") else "prompt"
    found = fields.needed(name)
    if not found:
        raise fields.invalid(name, "is empty")
    return found


def biased(fields: Fields, default: SamplingWish) -> SamplingWish:
    """With the row's biases: an object of ids or texts and numbers, or as the flag has them."""
    value = fields.take("logit_bias")
    if value is None:
        return default
    if isinstance(value, dict):
        value = [f"{token}={_number(fields, bias)}" for token, bias in value.items()]
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise fields.invalid("logit_bias", "must be an object of tokens and numbers")
    try:
        biases = tuple(config.check(SamplingWish, "logit_bias", each) for each in found)
    except ValueError as error:
        raise fields.invalid("logit_bias", str(error)) from None
    return replace(default, logit_bias=biases)  # type: ignore[arg-type]


def id_of(row: Row, name: str = "id") -> Id:
    """What a row calls itself. Raises InputError for what is no name."""
    found = row.values.get(name)
    if found is None or found == "":
        return None
    if isinstance(found, bool) or not isinstance(found, str | int):
        raise InputError(row.subject, f'"{name}" must be a text or a whole number')
    if len(str(found)[: _LONGEST_ID + 1]) > _LONGEST_ID:
        raise InputError(row.subject, f'"{name}" is longer than {_LONGEST_ID} characters')
    return found


def _cell(name: str, text: str) -> Any:
    """What a cell of a table says as JSON would have it; None where an empty one says nothing."""
    if name in _LISTS:
        return _list(name, text) if text else None
    if name in _TEXTS or name not in SETTINGS:
        return text if text or name not in SETTINGS else None
    for whole in (True, False):
        try:
            return number_of(text, whole=whole)
        except ValueError:
            continue
    # Its reader says what it wants in place of a text.
    return text or None


def _list(name: str, text: str) -> Any:
    """In JSON, or what stands between the separators of a list of this name."""
    separator = _LISTS[name]
    if not text.lstrip().startswith("["):
        return text.split(separator) if separator else text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise FieldError(name, "begins as JSON does, and is none") from None


def _number(fields: Fields, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise fields.invalid("logit_bias", "must be an object of tokens and numbers")
    return repr(value)
