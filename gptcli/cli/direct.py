"""A command line as it mostly is, run without Typer, which takes longer than a short answer does.

Only what leaves no doubt is read here: flags that a command has, each with its value, and its
arguments. Whatever else there is, be it a mistake, a call for help or a key from stdin, is Typer's,
who reads everything from the beginning: nothing is done before all is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

from gptcli.cli.commands import NAMES
from gptcli.cli.environment import Environment
from gptcli.cli.flags import settings
from gptcli.cli.flags.groups import Given, Shown, built, group_of, names_of
from gptcli.cli.flags.templates import with_template
from gptcli.cli.guard import guarded
from gptcli.config.check import checked, kind_of
from gptcli.errors import GptcliError
from gptcli.plain import dataclass

#: What fields hold that a word becomes by itself, and how.
_PLAIN: Mapping[str, Callable[[str], object]] = {
    **dict.fromkeys(("str", "int", "float", "tuple[str, ...]"), str),
    **dict.fromkeys(("Path", "tuple[Path, ...]"), Path),
}


@dataclass(frozen=True)
class CommandLine:
    """A command line that was read: the command, and what it is called with.

    groups: by the names of the command's parameters, with the fields that each shows; ours: those
    parameters that are no groups. given: a value for each field; by_hand: which of them were said.
    """

    command: Callable[..., None]
    ours: Mapping[str, Any]
    groups: Mapping[str, tuple[type, list[Shown]]]
    given: Mapping[str, Any]
    by_hand: Given

    def run(self, environment: Environment) -> None:
        """Raises what the command raises, and the errors of `settings.stored`."""
        shown = [each for _, found in self.groups.values() for each in found]
        given, by_hand = with_template(shown, self.given, self.by_hand)
        known = {Environment: environment, Given: by_hand}
        asked = any(each.option.setting for each in shown)
        stored = settings.stored(environment) if asked else {}
        guarded(self.command)(
            **{name: known[kind] for name, kind in self.ours.items()},
            **{name: built(*each, given, stored, by_hand) for name, each in self.groups.items()},
        )


def read(argv: Sequence[str]) -> CommandLine | None:
    """None for what is not one command's flags and arguments beyond doubt."""
    file = NAMES.get(argv[0]) if argv else None
    if file is None:
        return None
    module = import_module(f"gptcli.cli.commands.{file}")
    if hasattr(module, "COMMAND_CLASS"):
        return None
    command = getattr(module, file)
    hints = get_type_hints(command, include_extras=True)
    hints.pop("return", None)
    ours = {name: hint for name, hint in hints.items() if hint in (Environment, Given)}
    groups = {name: group_of(hint) for name, hint in hints.items() if name not in ours}
    shown = [each for _, found in groups.values() for each in found]
    said = _said(argv[1:], shown)
    if said is None:
        return None
    try:
        given = {each.field.name: _value(each, said.get(each.field.name)) for each in shown}
    except (ValueError, GptcliError):
        # Typer says it, in its order.
        return None
    return CommandLine(command, ours, groups, given, Given(said))


def _said(words: Sequence[str], shown: Iterable[Shown]) -> dict[str, list[Any]] | None:
    """What was said of each field, by its name: words, or that a switch is on or off."""
    flags: dict[str, tuple[Shown, bool]] = {}
    arguments = []
    for each in shown:
        if each.option.argument:
            arguments.append(each)
            continue
        for name in names_of(each.field, each.option):
            on, _, off = name.partition("/")
            flags |= {on: (each, True)} | ({off: (each, False)} if off else {})
    found: dict[str, list[Any]] = {}
    left = list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("-"):
            if not arguments:
                return None
            each, value = arguments.pop(0), word
        else:
            name, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
            if name not in flags:
                return None
            each, on_ = flags[name]
            if kind_of(each.field) == "bool":
                if equals:
                    return None
                found.setdefault(each.field.name, []).append(on_)
                continue
            if not equals:
                # What looks like a flag is a value to some, and to others a value that is missing.
                if not left or left[0].startswith("-"):
                    return None
                value = left.pop(0)
        if each.option.stdin and value == "-":
            return None
        found.setdefault(each.field.name, []).append(value)
    return found


def _value(shown: Shown, said: list[Any] | None) -> Any:
    """A field's value. Raises ValueError for what is Typer's."""
    option, kind = shown.option, kind_of(shown.field)
    if said is None:
        if shown.default is ...:
            raise ValueError("is missing")
        nothing = shown.default is None or shown.default is False
        return shown.default if nothing else checked(shown.field, option, shown.default)
    if option.act is not None or option.secret:
        raise ValueError("is not only said")
    if kind == "bool":
        return checked(shown.field, option, True) if said[-1] else False
    made = str if option.parse is not None else _PLAIN.get(kind)
    several = kind.startswith("tuple[") and not option.joined
    if made is None or (several and option.argument) or (len(said) > 1 and not several):
        raise ValueError("is not plain")
    values = tuple(checked(shown.field, option, made(each)) for each in said)
    return values if several else values[0]
