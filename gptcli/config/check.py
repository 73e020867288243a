"""Whether a value is one that an option can have."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import Field
from typing import Any

from gptcli.config.option import Option, field_of, option_of

#: What a text may say for an option that is on or off.
_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|inf|infinity|nan)", re.I)
_SWITCH = {True: ("1", "true", "yes", "on"), False: ("0", "false", "no", "off")}


def check(group: type, name: str, value: object) -> object:
    """`value` as the field `name` of a group wants it. Raises ValueError with the reason.

    Text is parsed (flags and environment are text), numbers are held to their limit.
    """
    return checked(field_of(group, name), option_of(group, name), value)


def checked(field: Field[Any], option: Option, value: object) -> object:
    """As `check`, for an option that may say other things than its field does."""
    kind = kind_of(field)
    if kind == "bool":
        return _switch(value)
    if kind in ("int", "float"):
        return _number(kind, option, value)
    if option.setting and (not isinstance(value, str) or not value):
        raise ValueError(f"must be a text, not {value!r}")
    if option.parse is not None:
        return option.parse(str(value))
    if option.choices:
        return one_of(option.choices, value)
    return value


def kind_of(field: Field[Any]) -> str:
    """What a field holds, as its annotation says, but for None: "int", "tuple[str, ...]"."""
    said = field.type
    return (said.__name__ if isinstance(said, type) else str(said)).removesuffix(" | None")


def one_of(known: Sequence[str], value: object) -> object:
    """The value. Raises ValueError for what is none of the known words."""
    if value not in known:
        raise ValueError(f"must be one of {', '.join(known)}, not {value!r}")
    return value


def number_of(text: str, *, whole: bool = False) -> int | float:
    """A number as people write it. Raises ValueError for anything else.

    Python takes "1_000", " 5" and the digits of every script for one as well.
    """
    if not (_WHOLE if whole else _NUMBER).fullmatch(text):
        raise ValueError(f"must be {'a whole number' if whole else 'a number'}, not {text!r}")
    return int(text) if whole else float(text)


def _number(kind: str, option: Option, value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"must be a number, not {value!r}")
    try:
        if isinstance(value, str):
            number = number_of(value, whole=kind == "int")
        else:
            number = int(value) if kind == "int" else float(value)
    except (ValueError, OverflowError):
        what = "a whole number" if kind == "int" else "a number"
        raise ValueError(f"must be {what}, not {_short(value)}") from None
    if kind == "int" and isinstance(value, float) and number != value:
        raise ValueError(f"must be a whole number, not {value!r}")
    reason = option.limit.reason(number) if option.limit else None
    if reason:
        raise ValueError(reason)
    return number


def _switch(value: object) -> bool:
    found = value
    if isinstance(value, str):
        found = next((on for on, words in _SWITCH.items() if value.lower() in words), None)
    if not isinstance(found, bool):
        raise ValueError(f"must be true or false, not {value!r:.40}")
    return found


def _short(value: object) -> str:
    # Not even spelt out in full before it is cut: that has a limit of its own for whole numbers.
    text = repr(value) if isinstance(value, str | float) else "a number that large"
    return text if len(text) <= 40 else f"{text[:37]}..."
