"""Groups of options → the flat signature that Typer reads, and the groups again from what it finds.

See `groups`.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any, get_type_hints

import typer

from gptcli.cli.environment import Environment
from gptcli.cli.flags import settings
from gptcli.cli.flags.declared import HOW, declared
from gptcli.cli.flags.groups import Given, Shown, built, group_of
from gptcli.cli.flags.help import Help
from gptcli.cli.flags.templates import with_template


def flattened(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the fields of its groups for parameters, as Typer wants them.

    `options` of what comes back has each field's Option as this command has it, by name.
    """
    hints = get_type_hints(command, include_extras=True)
    hints.pop("return", None)
    groups = {name: group_of(hint) for name, hint in hints.items() if hint not in _OURS}
    with_help = (*groups.values(), group_of(Help))
    shown = [each for _, found in with_help for each in found]
    with_settings = any(each.option.setting for each in shown)

    def run(typer_context: typer.Context, **given: Any) -> None:
        context = typer_context
        stored = settings.stored(context.obj) if with_settings else {}
        typed = Given(name for name in given if _by_hand(context, name))
        said, by_hand = with_template(shown, given, typed)
        known = {Environment: context.obj, typer.Context: context, Given: by_hand}
        command(
            **{name: known[hint] for name, hint in hints.items() if hint in _OURS},
            **{n: built(*each, said, stored, by_hand) for n, each in groups.items()},
        )

    parameters = [Parameter("typer_context", HOW, annotation=typer.Context)]
    for group, found in with_help:
        parameters += _declared(group, found)
    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    for name in ("__name__", "__doc__", "__module__"):
        setattr(run, name, getattr(command, name))
    run.options = {each.field.name: each.option for each in shown}  # type: ignore[attr-defined]
    return run


_OURS = (Environment, Given, typer.Context)


def _declared(group: type, shown: list[Shown]) -> list[Parameter]:
    hints = get_type_hints(group)
    return [declared(hints[each.field.name], each) for each in shown]


def _by_hand(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
