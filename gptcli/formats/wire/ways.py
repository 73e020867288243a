"""How plain values, tuples and mappings are written as JSON, and read again, exactly."""

from __future__ import annotations

import math
import sys
from array import array
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_WORDS = ("inf", "-inf", "nan")


class WireError(ValueError):
    """A line that is none of ours, or a value that cannot be one."""


@dataclass(frozen=True)
class Way:
    """How values of one type are written and read; kinds: of what JSON has, which it may be."""

    write: Callable[[Any], Any]
    read: Callable[[Any], Any]
    kinds: frozenset[type]


def wrong(what: str, found: Any) -> WireError:
    """The error for what is not what it should be."""
    return WireError(f"{found!r:.60} is no {what}")


def same(kind: type) -> Way:
    """What JSON has itself."""

    def check(value: Any) -> Any:
        if type(value) is not kind:
            raise wrong(kind.__name__, value)
        return value

    return Way(check, check, frozenset({kind}))


def number() -> Way:
    """A float; one that JSON has no number for is a word."""

    # A whole number in the place of a float stays one: it is shown without a point.
    def write(value: Any) -> Any:
        if type(value) is int:
            return value
        if type(value) is not float:
            raise wrong("number", value)
        return value if math.isfinite(value) else str(value)

    def read(said: Any) -> Any:
        if type(said) is str and said in _WORDS:
            return float(said)
        if type(said) not in (int, float):
            raise wrong("number", said)
        return said

    return Way(write, read, frozenset({int, float, str}))


def text(kind: type, to: Callable[[Any], str], of: Callable[[str], Any]) -> Way:
    """What is written as a text."""

    def write(value: Any) -> str:
        if not isinstance(value, kind):
            raise wrong(kind.__name__, value)
        return to(value)

    def read(said: Any) -> Any:
        if type(said) is not str:
            raise wrong("text", said)
        try:
            return of(said)
        except ValueError:
            raise wrong(kind.__name__, said) from None

    return Way(write, read, frozenset({str}))


def one_of(words: tuple[Any, ...]) -> Way:
    """What a Literal lists."""

    def check(value: Any) -> Any:
        if not any(type(value) is type(each) and value == each for each in words):
            raise wrong(f"one of {words}", value)
        return value

    return Way(check, check, frozenset(map(type, words)))


def several(of: Way, *, packed: bool = False, lists: bool = False) -> Way:
    """A tuple of any length; lists: whatever can be gone through again is one here."""
    kinds = (tuple, list) if lists else (tuple,)

    def write(value: Any) -> Any:
        if not isinstance(value, kinds):
            raise wrong("tuple", value)
        if packed and value and all(type(each) is float for each in value):
            return _pack(value)
        return [of.write(each) for each in value]

    def read(said: Any) -> tuple[Any, ...]:
        if packed and type(said) is str:
            return _unpack(said)
        if type(said) is not list:
            raise wrong("list", said)
        return tuple(of.read(each) for each in said)

    return Way(write, read, frozenset({list, str} if packed else {list}))


def _pack(value: Iterable[float]) -> str:
    found = array("d", value)
    if sys.byteorder == "big":
        found.byteswap()
    return b64encode(found.tobytes()).decode()


def _unpack(said: str) -> tuple[float, ...]:
    found = array("d")
    try:
        found.frombytes(b64decode(said, validate=True))
    except ValueError:
        raise wrong("floats", said) from None
    if sys.byteorder == "big":
        found.byteswap()
    return tuple(found)


def several_apart(of: Way) -> Way:
    """A set: a list, in order, none twice."""

    def write(value: Any) -> Any:
        if type(value) is not frozenset:
            raise wrong("set", value)
        return [of.write(each) for each in sorted(value)]

    def read(said: Any) -> Any:
        if type(said) is not list or len({*map(repr, said)}) != len(said):
            raise wrong("set", said)
        return frozenset(of.read(each) for each in said)

    return Way(write, read, frozenset({list}))


def never(what: str) -> Way:
    """What is not written at all, so that in its place there can only be nothing."""

    def refuse(value: Any) -> Any:
        raise WireError(f"a {what} is not written")

    return Way(refuse, refuse, frozenset())


def fixed(parts: tuple[Way, ...]) -> Way:
    """A tuple of so many, each of its own type."""

    def write(value: Any) -> Any:
        if type(value) is not tuple or len(value) != len(parts):
            raise wrong(f"tuple of {len(parts)}", value)
        return [part.write(each) for part, each in zip(parts, value, strict=True)]

    def read(said: Any) -> Any:
        if type(said) is not list or len(said) != len(parts):
            raise wrong(f"list of {len(parts)}", said)
        return tuple(part.read(each) for part, each in zip(parts, said, strict=True))

    return Way(write, read, frozenset({list}))


def mapping(key: Way, of: Way) -> Way:
    """A list of pairs, in order, no key twice."""
    pairs = several(fixed((key, of)))

    def write(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise wrong("mapping", value)
        return pairs.write(tuple(value.items()))

    def read(said: Any) -> Any:
        found = pairs.read(said)
        made = dict(found)
        if len(made) != len(found):
            raise wrong("mapping", said)
        return made

    return Way(write, read, frozenset({list}))
