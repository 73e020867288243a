"""The Typer app: the command table, and the options that stand before a command."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from functools import cache
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from gptcli import __version__
from gptcli.cli.commands import ALSO, GROUPS, HELP, INSIDE, NAMES
from gptcli.cli.environment import Environment
from gptcli.cli.flags import words
from gptcli.cli.flags.flatten import flattened
from gptcli.cli.guard import guarded
from gptcli.config import option
from gptcli.errors import UsageError
from gptcli.plain import dataclass

EXAMPLES = (("What may come after a text.", 'gptcli complete "Once upon a time"'),)

Command = TyperCommand | TyperGroup


@dataclass(frozen=True)
class About:
    """What the tool tells of itself."""

    version: bool = option(False, "Print the version.", *("-V", "--version"), brief="The version.")
    verbose: bool = option(False, "With --version: also what the CPU computes with.")


@cache
def app() -> TyperGroup:
    """The app, made once. A command's file is imported when the command is asked for.

    All of them would take longer than the first token of a short prompt takes.
    """
    whole = _typer("gptcli")
    whole.callback(invoke_without_command=True, add_help_option=False)(_read(gptcli))
    found = typer.main.get_command(whole)
    assert isinstance(found, TyperGroup)
    words.stay(found)
    others = {file.replace("_", "-"): file for file in (*GROUPS, HELP)}
    found.commands = _Table(NAMES | others)
    return found


def gptcli(context: typer.Context, environment: Environment, about: About) -> None:
    """A GPT in your terminal: complete text, and see how it is done.

    A generative pre-trained transformer reads text and predicts what comes next. The first
    command that needs the default model fetches it.
    """
    if about.version:
        environment.page(f"gptcli {__version__}\n")
        if about.verbose:
            from gptcli.backends import cpu
            from gptcli.cli.flags.settings import stored_group
            from gptcli.types.compute import Compute

            environment.page(f"{cpu(stored_group(environment, Compute).cpu_features)}\n")
        raise typer.Exit
    if about.verbose:
        raise UsageError("--verbose", "needs --version")
    if context.invoked_subcommand is None:
        from gptcli.cli.help.screens import show_brief

        show_brief(context)


class _Table(MutableMapping[str, Any]):
    """Commands by their names, made when they are asked for."""

    def __init__(self, files: dict[str, str]) -> None:
        self._files = files
        self._made: dict[str, Command] = {}

    def __getitem__(self, name: str) -> Command:
        if name not in self._made:
            self._made[name] = _command(name, self._files[name])
        return self._made[name]

    def __setitem__(self, name: str, command: Command) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._files[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def _command(name: str, file: str) -> Command:
    module = import_module(f"gptcli.cli.commands.{file}")
    tool = _typer(name)
    if file in GROUPS:
        tool.callback(invoke_without_command=True, add_help_option=False)(_read(module.group))
    commands = module.SUBCOMMANDS if file in GROUPS else {name: getattr(module, file)}
    for each, function in commands.items():
        # Where Typer's own way to read a command line does not do, the file has another.
        kind = getattr(module, "COMMAND_CLASS", None)
        hidden = file == HELP or name in ALSO
        tool.command(each, cls=kind, add_help_option=False, hidden=hidden)(_read(function))
    made = typer.main.get_command(tool)
    assert isinstance(made, TyperCommand | TyperGroup)
    made.name = name
    made.rich_help_panel = "Inside a model" if file in INSIDE else None
    words.stay(made)
    return made


def _read(command: Callable[..., None]) -> Callable[..., None]:
    """As Typer reads it, and as the boundary wants it."""
    return flattened(guarded(command))


def _typer(name: str) -> typer.Typer:
    return typer.Typer(
        name=name,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_help_option=False,
        add_completion=name == "gptcli",
    )
