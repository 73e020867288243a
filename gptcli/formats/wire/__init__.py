"""What `gptcli.types` holds as JSON, and back, exactly: for talking to another process of ours.

A value is written by the type hints of its fields and read by them again, strictly: what is
unknown, missing, too much or of another type is an error. Only the dataclasses of `gptcli.types`
and the errors of `gptcli.errors` are known, so that a stranger's line makes nothing but plain
values, and runs nothing.

A dataclass is the list of its fields, in order; where the hint does not say which it is, an object
with one key, file and class, `{"completion.Chunk": […]}`. Bytes are Latin-1, floats that JSON
lacks the words inf, -inf and nan, several floats base64 of little-endian doubles, mappings lists
of pairs.
"""

from __future__ import annotations

import json
import os
import re
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from gptcli import errors
from gptcli.formats.wire.ways import (
    Way,
    WireError,
    fixed,
    mapping,
    never,
    number,
    one_of,
    same,
    several,
    several_apart,
    text,
    wrong,
)
from gptcli.types.secret import Secret

__all__ = ["WireError", "decode", "encode", "line", "value"]

_ROOM = "gptcli.types"
_TAG = re.compile(r"([a-z_]{1,40})\.([A-Za-z]{1,60})")


def line(value: Any) -> bytes:
    """A value of `gptcli.types`, or an error, as one line with its end.

    Raises WireError for what no line can say.
    """
    # Halves of a character, which text on a command line may have, stay halves.
    said = json.dumps(encode(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return said.encode(errors="surrogatepass") + b"\n"


def value(line: bytes) -> Any:
    """The value of a line. Raises WireError. How long a line may be is the reader's to say."""
    try:
        return decode(json.loads(line.decode(errors="surrogatepass")))
    except (ValueError, RecursionError) as error:
        raise WireError(f"{type(error).__name__}: {error}") from None


def encode(value: Any) -> Any:
    """A value as what JSON knows, with its class. Raises WireError."""
    return _ANY.write(value)


def decode(said: Any) -> Any:
    """The value again. Raises WireError."""
    return _ANY.read(said)


def _made(kind: Any) -> Way:
    """A dataclass, known by the hint; what is derived from it says its name."""

    def write(value: Any) -> Any:
        own: Any = type(value)
        if own is kind:
            return _parts(own).write(value)
        if not isinstance(value, kind):
            raise wrong(kind.__name__, value)
        return _ANY.write(value)

    def read(said: Any) -> Any:
        if type(said) is list:
            return _parts(kind).read(said)
        found = _ANY.read(said)
        if not isinstance(found, kind) or type(found) is kind:
            raise wrong(kind.__name__, said)
        return found

    return Way(write, read, frozenset({list, dict}))


@cache
def _parts(kind: Any) -> Way:
    """A dataclass as the list of its fields. Raises WireError where one has no way."""
    names = [each.name for each in fields(kind)]
    # With nothing of the class itself: a property `bytes` would be what `bytes` means.
    hints = get_type_hints(kind, localns={})
    inner = fixed(tuple(_way(hints[name]) for name in names))
    if not all(each.init for each in fields(kind)):
        raise WireError(f"{kind.__name__} is not made of its fields alone")

    def write(value: Any) -> Any:
        return inner.write(tuple(getattr(value, name) for name in names))

    def read(said: Any) -> Any:
        return kind(**dict(zip(names, inner.read(said), strict=True)))

    return Way(write, read, frozenset({list}))


@cache
def _way(hint: Any) -> Way:
    """How values of a type are written. Raises WireError for a type that has no way."""
    origin, inside = get_origin(hint), get_args(hint)
    if hint in _PLAIN:
        return _PLAIN[hint]
    if origin is Literal:
        return one_of(inside)
    if origin is tuple and len(inside) == 2 and inside[1] is Ellipsis:
        return several(_way(inside[0]), packed=inside[0] is float)
    if origin is frozenset:
        return several_apart(_way(inside[0]))
    if origin is tuple:
        return fixed(tuple(map(_way, inside)))
    if origin is Iterable:
        return several(_way(inside[0]), lists=True)
    if origin is Mapping:
        return mapping(_way(inside[0]), _way(inside[1]))
    if origin in (Union, types.UnionType):
        return _either(inside)
    if isinstance(hint, type) and issubclass(hint, errors.GptcliError):
        return Way(_ANY.write, _among((hint,)), _ANY.kinds)
    if _is_known(hint):
        return _made(hint)
    raise WireError(f"{hint} has no way to be written")


def _either(hints: tuple[Any, ...]) -> Way:
    """One of several types, told apart by what JSON makes of them; several classes by name."""
    classes = tuple(each for each in hints if _is_known(each))
    if len(classes) > 1:
        ways = {each: _way(each) for each in hints if each not in classes}
        ways[classes] = Way(_ANY.write, _among(classes), _ANY.kinds)
    else:
        ways = {each: _way(each) for each in hints}
    by_kind = {kind: way for way in ways.values() for kind in way.kinds}
    if len(by_kind) != sum(len(way.kinds) for way in ways.values()):
        raise WireError(f"{hints} cannot be told apart")

    def write(value: Any) -> Any:
        for way in ways.values():
            try:
                return way.write(value)
            except WireError:
                continue
        raise wrong(f"one of {hints}", value)

    def read(said: Any) -> Any:
        if type(said) not in by_kind:
            raise wrong(f"one of {hints}", said)
        return by_kind[type(said)].read(said)

    return Way(write, read, frozenset(by_kind))


def _among(classes: tuple[type, ...]) -> Callable[[Any], Any]:
    def read(said: Any) -> Any:
        found = _ANY.read(said)
        if not isinstance(found, classes):
            raise wrong(f"one of {classes}", said)
        return found

    return read


def _is_known(kind: Any) -> bool:
    """Whether it is a dataclass of gptcli.types, or an error of ours."""
    if not isinstance(kind, type):
        return False
    return issubclass(kind, errors.GptcliError) or (
        is_dataclass(kind) and kind.__module__.startswith(f"{_ROOM}.")
    )


def _write_any(value: Any) -> Any:
    kind: Any = type(value)
    if isinstance(value, errors.GptcliError):
        # One that only another room knows is to others what it is derived from.
        known = next(each for each in kind.__mro__ if each.__module__ == errors.__name__)
        return {f"errors.{known.__name__}": _ERROR.write((value.subject, value.reason, value.hint))}
    if not _is_known(kind):
        raise wrong("value that can be written", value)
    tag = f"{kind.__module__.removeprefix(_ROOM)[1:]}.{kind.__name__}"
    return {tag: _parts(kind).write(value)}


def _read_any(said: Any) -> Any:
    if type(said) is not dict or len(said) != 1:
        raise wrong("value with its class", said)
    ((tag, parts),) = said.items()
    kind = _class_of(tag)
    if issubclass(kind, errors.GptcliError):
        return kind(*_ERROR.read(parts))
    return _parts(kind).read(parts)


@cache
def _class_of(tag: str) -> Any:
    """The class of a name. Only modules of one room are looked for."""
    found = _TAG.fullmatch(tag)
    if found is None:
        raise wrong("class", tag)
    file, name = found.groups()
    try:
        module = errors if file == "errors" else import_module(f"{_ROOM}.{file}")
    except ImportError:
        raise wrong("class", tag) from None
    kind = vars(module).get(name)
    if not _is_known(kind) or kind.__module__ != module.__name__:
        raise wrong("class", tag)
    return kind


_PLAIN: dict[Any, Way] = {
    **{kind: same(kind) for kind in (bool, int, str, type(None))},
    float: number(),
    bytes: text(bytes, lambda data: data.decode("latin-1"), lambda text: text.encode("latin-1")),
    Secret: never("key"),
    Path: text(Path, os.fspath, Path),
}
_ERROR = fixed((_PLAIN[str], _PLAIN[str], _either((str, type(None)))))
#: A value with its class.
_ANY = Way(_write_any, _read_any, frozenset({dict}))
