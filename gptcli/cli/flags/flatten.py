"""Groups of options → the flat signature that Typer reads, and the groups again from what it finds.

A command names groups, and gets each as one object:

    def tree(environment: Environment, source: Source, compute: Compute) -> None: ...

Beside groups it may ask for the Environment, for Given, and for Typer's context.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, replace
from inspect import Parameter, Signature
from typing import Any, get_args, get_type_hints

import typer

from gptcli.cli.environment import Environment
from gptcli.cli.flags import settings
from gptcli.cli.flags.declared import HOW, Declared, declared
from gptcli.cli.flags.help import Help
from gptcli.config import options_of
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


def flattened(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the fields of its groups for parameters, as Typer wants them.

    `options` of what comes back has each field's Option as this command has it, by name.
    """
    hints = get_type_hints(command, include_extras=True)
    hints.pop("return", None)
    groups = {name: _group(hint) for name, hint in hints.items() if hint not in _OURS}
    shown = [each for _, found in groups.values() for each in found]
    shown += _group(Help)[1]
    with_settings = any(each.option.setting for each in shown)

    def run(typer_context: typer.Context, **given: Any) -> None:
        context = typer_context
        stored = settings.stored(context.obj) if with_settings else {}
        known = {
            Environment: context.obj,
            typer.Context: context,
            Given: Given(name for name in given if _by_hand(context, name)),
        }
        command(
            **{name: known[hint] for name, hint in hints.items() if hint in _OURS},
            **{n: _built(*each, given, stored, known[Given]) for n, each in groups.items()},
        )

    parameters = [Parameter("typer_context", HOW, annotation=typer.Context)]
    parameters += [each.parameter for each in shown]
    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    for name in ("__name__", "__doc__", "__module__"):
        setattr(run, name, getattr(command, name))
    run.options = {each.field.name: each.option for each in shown}  # type: ignore[attr-defined]
    return run


_OURS = (Environment, Given, typer.Context)


def _group(hint: Any) -> tuple[type, list[Declared]]:
    """A group, and those of its fields that the command has, as it has them."""
    group, otherwise = get_args(hint) if get_args(hint) else (hint, But({}))
    found, hints = [], get_type_hints(group)
    for field, option in options_of(group):
        change = otherwise.changes.get(field.name, {})
        left_out = otherwise.only is not None and field.name not in otherwise.only
        if change is None or left_out:
            continue
        changed = {"help": change} if isinstance(change, str) else dict(change)
        default = changed.pop("default", MISSING)
        found.append(declared(hints[field.name], field, replace(option, **changed), default))
    return group, found


def _built(
    group: type,
    shown: list[Declared],
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


def _by_hand(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
