"""How a field of a group of options says what it is: once, for flag, file, manual and all else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import Field, field, fields
from functools import cache
from typing import Any

from gptcli.config.limit import Limit
from gptcli.plain import dataclass

_KEY = "option"


@dataclass(frozen=True)
class Option:
    """What a user can say with a field.

    help: what --help and the manual say of it; brief: what -h says, in few words, nothing for
    what only experts look for. names: its flags, where the field's own name with dashes is not
    all; metavar: what stands for its value; panel: under which heading it is listed.

    limit: the range of a number; choices: the words that it may be; parse: turns one text into
    the value, raising ValueError, in place of the choices; joined: that text holds several, where
    else a field of several is a flag that can be given again; completer: the name of what offers
    values to the shell, in the command line's completers.

    setting: the environment and the user's file can say it as well; older_for: the field that says
    the same today, of which what is stored counts less than this flag; argument: it stands without
    a flag; act: called as soon as the flag is met, before all others, with what the command line
    knows of the command; secret: the value is read from the file that the flag names, or from
    stdin for -, and is never shown; stdin: so it is with -, of which a command line can have one;
    in_file: in place of NAME=VALUE a JSON file may be named, which holds many.
    """

    help: str
    names: tuple[str, ...] = ()
    metavar: str = ""
    panel: str = ""
    brief: str = ""
    limit: Limit | None = None
    choices: tuple[str, ...] = ()
    parse: Callable[[str], Any] | None = None
    joined: bool = False
    completer: str = ""
    setting: bool = False
    older_for: str = ""
    argument: bool = False
    act: Callable[[Any], None] | None = None
    secret: bool = False
    stdin: bool = False
    in_file: bool = False


def option(default: Any, text: str, *names: str, **more: Any) -> Any:
    """A field of a group: its default (`...` for none), its help, its flags, and so on (Option)."""
    metadata = {_KEY: Option(text, names, **more)}
    return field(metadata=metadata) if default is ... else field(default=default, metadata=metadata)


def options_of(group: type) -> Iterable[tuple[Field[Any], Option]]:
    """The fields of a group that say what they are, in their order."""
    return [(each, each.metadata[_KEY]) for each in fields(group) if _KEY in each.metadata]


def option_of(group: type, name: str) -> Option:
    """What a field says of itself. Raises KeyError where the group has no such field."""
    return _by_name(group)[name][1]


def field_of(group: type, name: str) -> Field[Any]:
    """The field of that name. Raises KeyError where the group has none."""
    return _by_name(group)[name][0]


@cache
def _by_name(group: type) -> dict[str, tuple[Field[Any], Option]]:
    return {each.name: (each, said) for each, said in options_of(group)}


def key_of(name: str) -> str:
    """A field's name in the user's file, and in a flag behind its dashes."""
    return name.replace("_", "-")


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return f"GPTCLI_{name.upper()}"
