"""Groups of options as a command has them: the fields it shows, and a group from what was given.

A command names groups, and gets each as one object:

    def tree(environment: Environment, source: Source, compute: Compute) -> None: ...

Beside groups it may ask for the Environment, for Given, and for Typer's context.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, replace
from typing import Any, get_args

from gptcli.config import Option, key_of, options_of
from gptcli.plain import dataclass


class Given(frozenset[str]):
    """The names of the fields that the command line itself gave, not a file, nor a default."""


@dataclass(frozen=True)
class But:
    """What a command says otherwise of a group: see `but` and `only`."""

    changes: Mapping[str, Any]
    only: frozenset[str] | None = None


def but(**changes: str | Mapping[str, Any] | None) -> But:
    """For Annotated: a group whose fields have another help (a text), other values of Option, or
    another `default`; None leaves a field out.
    """
    return But(changes)


def only(*names: str, **changes: str | Mapping[str, Any] | None) -> But:
    """As `but`, with these fields alone."""
    return But(changes, frozenset((*names, *changes)))


@dataclass(frozen=True)
class Shown:
    """A field of a group, and what it says of itself in one command.

    default: what a command line has where it says nothing, `...` where it has to.
    """

    field: Field[Any]
    option: Option
    default: Any


def group_of(hint: Any) -> tuple[type, list[Shown]]:
    """The group that a parameter's annotation names, and those of its fields that are shown."""
    group, otherwise = get_args(hint) if get_args(hint) else (hint, But({}))
    found = []
    for field, option in options_of(group):
        change = otherwise.changes.get(field.name, {})
        left_out = otherwise.only is not None and field.name not in otherwise.only
        if change is None or left_out:
            continue
        changed = {"help": change} if isinstance(change, str) else dict(change)
        default = changed.pop("default", field.default)
        said = replace(option, **changed) if changed else option
        found.append(Shown(field, said, _unsaid(said, default)))
    return group, found


def _unsaid(option: Option, default: Any) -> Any:
    if default is MISSING:
        return ...
    if option.setting or option.parse or option.secret or default == ():
        # Nothing was said: what is stored has a word, too, and Typer knows no value but its own.
        return None
    return default


def names_of(field: Field[Any], option: Option) -> tuple[str, ...]:
    """All flags of a field."""
    return option.names or (f"--{key_of(field.name)}",)


def flag_of(field: Field[Any], option: Option) -> str:
    """The flag by which errors know a field, or what an argument is called."""
    if option.argument:
        return option.metavar.strip("[].")
    return next((name for name in names_of(field, option) if name.startswith("--")), "")


def built(
    group: type,
    shown: list[Shown],
    given: Mapping[str, Any],
    stored: Mapping[str, object],
    by_hand: Given,
) -> Any:
    """The group, from flags before what is stored before defaults, which left-out fields have.

    One that has a field `by_hand` is told which of its fields the command line gave.
    """
    values: dict[str, Any] = {}
    if any(each.name == "by_hand" for each in fields(group)):
        values["by_hand"] = by_hand & {each.field.name for each in shown}
    newer = {each.option.older_for for each in shown if given[each.field.name] is not None}
    for each in shown:
        name, value = each.field.name, given[each.field.name]
        if value is None and each.option.setting and name not in newer:
            value = stored.get(name)
        if value is not None:
            # Typer gives lists, whatever a callback made of them.
            values[name] = tuple(value) if isinstance(value, list) else value
    return group(**values)
