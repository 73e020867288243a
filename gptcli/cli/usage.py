"""Typer's errors about a command line, in our words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

from gptcli.cli.app import app
from gptcli.errors import UsageError


def _command_of(argv: Sequence[str]) -> str:
    """The command that a command line names, as far as its first words are one's."""
    known: TyperCommand | TyperGroup = app()
    path = ["gptcli"]
    for word in argv:
        if not (isinstance(known, TyperGroup) and word in known.commands):
            break
        known = cast(TyperCommand | TyperGroup, known.commands[word])
        path.append(word)
    return " ".join(path)


def usage(error: BaseException, argv: Sequence[str]) -> UsageError | None:
    """Which option, and what is wrong with it; None for what is no error of Typer's."""
    if not isinstance(error, typer.TyperException):
        return None
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    param = getattr(error, "param", None)
    if param is not None:
        # An argument is known to people by what --help shows, an option by its long name.
        option = max(param.opts, key=len)
        subject = option if option.startswith("-") else param.metavar or option
        return UsageError(subject, getattr(error, "message", "") or "is missing")
    context = getattr(error, "ctx", None)
    where = context.command_path if context is not None else _command_of(argv)
    hint = f"see {where} --help"
    if near := getattr(error, "possibilities", None):
        # Of those that Typer has, what differs by more than a slip of the hand says nothing.
        import difflib

        message = getattr(error, "message", message)
        near = difflib.get_close_matches(getattr(error, "option_name", ""), near, n=2, cutoff=0.82)
        hint = f"did you mean {' or '.join(near)}?; {hint}" if near else hint
    message = message.rstrip(".")
    takes_text = context is not None and any(
        isinstance(each, TyperArgument) for each in context.command.params
    )
    if "unexpected extra argument" in message and takes_text:
        hint = f"put a prompt of several words in quotes; {hint}"
    return UsageError(where, message[:1].lower() + message[1:], hint)
