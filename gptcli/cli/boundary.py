"""The one error boundary: whatever happens becomes one line on stderr and an exit code."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import cast

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

from gptcli import signals
from gptcli.cli.environment import Environment
from gptcli.cli.guard import told_apart
from gptcli.errors import GptcliError, ResourceError, UsageError
from gptcli.ui.terminal.stream import PipeClosedError

OK, BUG = 0, 1
#: By signal, as shells tell it; `gptcli` as a process ends by the signal itself.
HUNG_UP, INTERRUPTED, PIPE_CLOSED, TERMINATED = 129, 130, 141, 143


def main(argv: Sequence[str], environment: Environment | None = None) -> int:
    """Run one command line and give its exit code. See design: 0, 1 to 9, 129, 130, 141, 143.

    environment: by default that of this process.
    """
    around = environment or Environment.of_process()
    if "_GPTCLI_COMPLETE" in os.environ:
        # Typer wraps the help that it hands to the shell, which takes each line for a candidate.
        os.environ["COLUMNS"] = "9999"
    try:
        return _run(list(argv), around)
    except (KeyboardInterrupt, SystemExit, Exception) as error:
        # Everything ends here, that is what a boundary is. What fails while a signal has things
        # cleaned up is no news: a closed window takes the terminal with it.
        code = signals.on_the_way_out(error)
        if code is not None:
            return code
        if isinstance(error, PipeClosedError) or isinstance(error.__context__, BrokenPipeError):
            return PIPE_CLOSED
        if isinstance(error, SystemExit):
            raise
        return _report(error, argv, around)


def _run(argv: list[str], environment: Environment) -> int:
    from gptcli.cli.app import app

    try:
        code = app().main(argv, prog_name="gptcli", standalone_mode=False, obj=environment)
        environment.stdout.flush()
    except OSError as error:
        raise told_apart(error) from error
    # Typer's own ways to stop give 1, which here means a bug.
    code = code if isinstance(code, int) else OK
    return UsageError.exit_code if code == BUG else code


def _report(error: BaseException, argv: Sequence[str], environment: Environment) -> int:
    if environment.variables.get("GPTCLI_DEBUG"):
        import traceback

        traceback.print_exception(error)
    known = _known(error, argv)
    if known is None:
        text = f"bug: {type(error).__name__}: {error} (set GPTCLI_DEBUG=1 for the traceback)"
    else:
        text = str(known)
    # Where even this cannot be written, the exit code is all that is left to say it.
    with suppress(OSError, PipeClosedError):
        environment.messages().error(text)
    return BUG if known is None else known.exit_code


def _known(error: BaseException, argv: Sequence[str]) -> GptcliError | None:
    if isinstance(error, GptcliError):
        return error
    if isinstance(error, typer.TyperException):
        return _usage(error, argv)
    if isinstance(error, MemoryError) or _is_torch_memory(error):
        return ResourceError("memory", "there is not enough of it for this model and context")
    return None


def _is_torch_memory(error: BaseException) -> bool:
    if not isinstance(error, RuntimeError):
        return False
    return type(error).__name__ == "OutOfMemoryError" or any(
        sign in str(error) for sign in ("can't allocate memory", "Cannot allocate memory")
    )


def _command_of(argv: Sequence[str]) -> str:
    """The command that a command line names, as far as its first words are one's."""
    from gptcli.cli.app import app

    known: TyperCommand | TyperGroup = app()
    path = ["gptcli"]
    for word in argv:
        if not (isinstance(known, TyperGroup) and word in known.commands):
            break
        known = cast(TyperCommand | TyperGroup, known.commands[word])
        path.append(word)
    return " ".join(path)


def _usage(error: typer.TyperException, argv: Sequence[str]) -> UsageError:
    """Typer's error about the command line, as ours: which option, and what is wrong with it."""
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
        near = difflib.get_close_matches(getattr(error, "option_name", ""), near, n=2, cutoff=0.75)
        hint = f"did you mean {' or '.join(near)}?; {hint}" if near else hint
    message = message.rstrip(".")
    takes_text = context is not None and any(
        isinstance(each, TyperArgument) for each in context.command.params
    )
    if "unexpected extra argument" in message and takes_text:
        hint = f"put a prompt of several words in quotes; {hint}"
    return UsageError(where, message[:1].lower() + message[1:], hint)
