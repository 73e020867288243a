"""`gptcli help`: the help of a command, by its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import typer
from typer.core import TyperGroup

from gptcli.cli.help.screens import show_whole
from gptcli.config import option
from gptcli.errors import UsageError

EXAMPLES = (
    ("All commands.", "gptcli help"),
    ("Everything about one.", "gptcli help complete"),
)


@dataclass(frozen=True)
class About:
    """Whose help."""

    command: tuple[str, ...] = option((), "The command.", metavar="[COMMAND]...", argument=True)


def help(context: typer.Context, about: About) -> None:
    """Show the help of a command."""
    found = cast(typer.Context, context.parent)
    for name in about.command:
        below = found.command.commands.get(name) if isinstance(found.command, TyperGroup) else None
        if below is None:
            hint = f"see {found.command_path} --help"
            raise UsageError("COMMAND", f"there is no {found.command_path} {name}", hint)
        found = typer.Context(below, parent=found, info_name=name)
    show_whole(found)
