"""The Typer app: the command table, and the options that stand before a command."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

from gptcli import __version__, config
from gptcli.cli.boundary import guarded
from gptcli.errors import UsageError

#: A command is a file here, and the function in it that has the same name.
COMMANDS = (
    *("complete", "chat", "few_shot", "top_k", "choose", "score", "tokens", "tree"),
    *("explain", "neighbors", "attention", "lens", "bench"),
)
#: Files whose `app` has subcommands of its own.
GROUPS = ("sessions", "models")


def app(argv: Sequence[str] = ()) -> typer.Typer:
    """The app for a command line: with the command that comes first, or else with all.

    The others would take longer to import than the first token of a short prompt takes.
    """
    names = {file.replace("_", "-"): file for file in (*COMMANDS, *GROUPS)}
    first = names.get(argv[0]) if argv else None
    # Boxes are for people: help in a pipe or a dumb terminal is plain text.
    pretty = sys.stdout is not None and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    whole = typer.Typer(
        name="gptcli",
        rich_markup_mode="rich" if pretty else None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for file in names.values() if first is None else [first]:
        module = import_module(f"gptcli.cli.commands.{file}")
        if file in GROUPS:
            whole.add_typer(module.app)
        else:
            # Where Typer's own way to read a command line does not do, the file has another.
            whole.command(cls=getattr(module, "COMMAND_CLASS", None))(
                guarded(getattr(module, file))
            )
    whole.callback(invoke_without_command=True)(gptcli)
    return whole


def gptcli(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="With --version: also what the CPU computes with.")
    ] = False,
) -> None:
    """A GPT in your terminal: complete text, and see how it is done.

    A generative pre-trained transformer reads text and predicts what comes next. The first
    command that needs the default model fetches it.
    """
    if version:
        typer.echo(f"gptcli {__version__}")
        if verbose:
            from gptcli.backends import cpu

            typer.echo(cpu(config.load().cpu_features))
        raise typer.Exit
    if verbose:
        raise UsageError("--verbose", "needs --version")
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
