"""The Typer app: the command table, and the options that stand before a command."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer
from typer.core import TyperCommand

from gptcli import __version__, config
from gptcli.cli import (
    attention,
    chat,
    choose,
    complete,
    explain,
    few_shot,
    few_shot_pairs,
    lens,
    models,
    neighbors,
    score,
    sessions,
    tokens,
    top_k,
    tree,
)
from gptcli.cli.boundary import guarded
from gptcli.errors import UsageError

#: A new subcommand is one word here; groups have subcommands of their own.
COMMANDS = (
    complete.complete,
    chat.chat,
    few_shot.few_shot,
    top_k.top_k,
    choose.choose,
    score.score,
    tokens.tokens,
    tree.tree,
    explain.explain,
    neighbors.neighbors,
    attention.attention,
    lens.lens,
)
GROUPS = (sessions.app, models.app)

#: Where Typer's own way to read a command line does not do.
CLASSES: dict[Callable[..., None], type[TyperCommand]] = {
    few_shot.few_shot: few_shot_pairs.TakesPairs
}

# Boxes are for people: help in a pipe or a dumb terminal is plain text.
_PRETTY = sys.stdout is not None and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"

app = typer.Typer(
    name="gptcli",
    rich_markup_mode="rich" if _PRETTY else None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in COMMANDS:
    app.command(cls=CLASSES.get(_command))(guarded(_command))
for _group in GROUPS:
    app.add_typer(_group)


@app.callback(invoke_without_command=True)
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
