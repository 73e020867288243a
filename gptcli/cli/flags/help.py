"""The two helps that every command has."""

from __future__ import annotations

from typing import NoReturn

import typer

from gptcli.config import option
from gptcli.plain import dataclass


def _brief(context: typer.Context) -> NoReturn:
    from gptcli.cli.help.screens import show_brief

    show_brief(context)
    raise typer.Exit


def _whole(context: typer.Context) -> NoReturn:
    from gptcli.cli.help.screens import show_whole

    show_whole(context)
    raise typer.Exit


@dataclass(frozen=True)
class Help:
    """How a command explains itself."""

    brief_help: bool = option(False, "Show what is used most.", "-h", act=_brief)
    whole_help: bool = option(False, "Show everything.", "--help", act=_whole)
