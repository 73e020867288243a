"""A field of a group as a parameter of Typer's: its type, its names, its check, its completion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field
from inspect import Parameter
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import typer

from gptcli.cli.flags import completers
from gptcli.cli.flags.groups import Shown, flag_of, names_of
from gptcli.cli.flags.secrets import secret_in
from gptcli.config import Option
from gptcli.config.check import checked
from gptcli.errors import InputError, UsageError

#: How a command takes everything.
HOW = Parameter.POSITIONAL_OR_KEYWORD


def declared(hint: Any, shown: Shown) -> Parameter:
    """The parameter that Typer reads; hint: the field's type."""
    field, option, value = shown.field, shown.option, shown.default
    kind = _type_of(hint, option, nothing=value is None)
    more: dict[str, Any] = {
        "metavar": option.metavar or None,
        "help": option.help,
        "callback": _callback(field, option),
        "autocompletion": _completer(option),
        "show_default": False,
        "is_eager": option.act is not None,
    }
    if option.argument:
        info: Any = typer.Argument(**more)
    else:
        more["rich_help_panel"] = option.panel or None
        info = typer.Option(*names_of(field, option), **more)
    annotation = Annotated[kind, info]  # type: ignore[valid-type]
    return Parameter(field.name, HOW, default=value, annotation=annotation)


def _type_of(hint: Any, option: Option, *, nothing: bool) -> Any:
    """What Typer is to turn a word into; where `checked` does that, it stays one."""
    bare = get_origin(hint) in (Union, UnionType)
    plain = next(each for each in get_args(hint) if each is not type(None)) if bare else hint
    if get_origin(plain) is tuple and not option.joined:
        plain = list[Path if get_args(plain)[0] is Path else str]  # type: ignore[misc]
    else:
        plain = str if option.parse is not None or option.secret or plain in (int, float) else plain
    return plain | None if nothing else plain


def _callback(field: Field[Any], option: Option) -> Callable[..., Any]:
    flag = flag_of(field, option)

    def check(context: typer.Context, value: Any) -> Any:
        if value is None or value is False or context.resilient_parsing:
            return value
        if option.act is not None:
            option.act(context)
        if option.stdin:
            for each in value if isinstance(value, list) else [value]:
                if str(each) == "-":
                    context.obj.claim_stdin(flag)
        if option.secret:
            return secret_in(context.obj, flag, value)
        try:
            if isinstance(value, list):
                return tuple(found for each in value for found in _checked(field, option, each))
            return checked(field, option, value)
        except ValueError as error:
            raise UsageError(flag, str(error)) from None

    return check


def _checked(field: Field[Any], option: Option, word: str) -> list[object]:
    """A word's value, or those of the file that it names. Raises ValueError, InputError."""
    try:
        return [checked(field, option, word)]
    except ValueError:
        path = Path(word)
        if not (option.in_file and path.is_file()):
            raise
    from gptcli.cli.flags.told_in_file import words_in

    try:
        return [checked(field, option, each) for each in words_in(path)]
    except ValueError as error:
        raise InputError(word, str(error)) from None


def _completer(option: Option) -> Callable[[str], list[str]] | None:
    if option.completer:
        found: Callable[[str], list[str]] = getattr(completers, f"complete_{option.completer}")
        return found
    if option.choices:
        return lambda incomplete: [each for each in option.choices if each.startswith(incomplete)]
    return None
