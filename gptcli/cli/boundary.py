"""The one error boundary: whatever happens becomes one line on stderr and an exit code."""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import Any

import typer

from gptcli.errors import GptcliError, ResourceError, UsageError
from gptcli.ui.terminal.messages import Messages

OK, BUG, INTERRUPTED, PIPE_CLOSED, TERMINATED = 0, 1, 130, 141, 143


def main(argv: Sequence[str]) -> int:
    """Run one command line and give its exit code. See design: 0, 1 to 9, 130, 141, 143."""
    _open_missing_streams()
    if "_GPTCLI_COMPLETE" in os.environ:
        # Typer wraps the help that it hands to the shell, which takes each line for a candidate.
        os.environ["COLUMNS"] = "9999"
    signal.signal(signal.SIGTERM, _terminate)
    try:
        return _run(list(argv))
    except KeyboardInterrupt:
        return INTERRUPTED
    except _PipeClosedError:
        _discard_stdout()
        return PIPE_CLOSED
    except Exception as error:  # everything ends here, that is what a boundary is
        return _report(error)


def _run(argv: list[str]) -> int:
    from gptcli.cli.app import app

    try:
        code = app(argv)(argv, prog_name="gptcli", standalone_mode=False)
    except OSError as error:
        raise _told_apart(error) from error
    # Typer's own ways to stop give 1, which here means a bug.
    code = code if isinstance(code, int) else OK
    return UsageError.exit_code if code == BUG else code


class _PipeClosedError(Exception):
    """Whoever read our stdout has gone. Not an OSError: Typer would make an exit of its own."""


def guarded(command: Any) -> Any:
    """Wrap a command's function, so that Typer does not see the OSErrors that it would swallow."""
    import functools

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except OSError as error:
            raise _told_apart(error) from error

    return wrapper


def _told_apart(error: OSError) -> Exception:
    if isinstance(error, BrokenPipeError):
        return _PipeClosedError()
    subject = str(error.filename or "output")
    return ResourceError(subject, error.strerror or str(error))


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    # An exception, so that temporary files are removed and children stopped on the way out.
    sys.exit(TERMINATED)


def _open_missing_streams() -> None:
    """A closed stdout or stderr is None, which every print would stumble over."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that is not UTF-8 shows what it cannot by its code, as stderr does anyway.
        sys.stdout.reconfigure(errors="backslashreplace")


def _discard_stdout() -> None:
    """Keep Python from complaining, when it exits, about output that nobody takes."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report(error: Exception) -> int:
    if os.environ.get("GPTCLI_DEBUG"):
        traceback.print_exception(error)
    known = _known(error)
    if known is None:
        text = f"bug: {type(error).__name__}: {error} (set GPTCLI_DEBUG=1 for the traceback)"
    else:
        text = str(known)
    # Where even this cannot be written, the exit code is all that is left to say it.
    with suppress(OSError):
        Messages(sys.stderr).error(text)
    return BUG if known is None else known.exit_code


def _known(error: Exception) -> GptcliError | None:
    if isinstance(error, GptcliError):
        return error
    if isinstance(error, typer.TyperException):
        return _usage(error)
    if isinstance(error, MemoryError) or _is_torch_memory(error):
        return ResourceError("memory", "there is not enough of it for this model and context")
    return None


def _is_torch_memory(error: Exception) -> bool:
    if not isinstance(error, RuntimeError):
        return False
    return type(error).__name__ == "OutOfMemoryError" or any(
        sign in str(error) for sign in ("can't allocate memory", "Cannot allocate memory")
    )


def _usage(error: typer.TyperException) -> UsageError:
    """Typer's error about the command line, as ours: which option, and what is wrong with it."""
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    param = getattr(error, "param", None)
    if param is not None:
        # An argument is known to people by what --help shows, an option by its long name.
        option = max(param.opts, key=len)
        subject = option if option.startswith("-") else param.metavar or option
        return UsageError(subject, getattr(error, "message", "") or "is missing")
    context = getattr(error, "ctx", None)
    where = context.command_path if context is not None else "gptcli"
    message = message.rstrip(".")
    hint = f"see {where} --help"
    if "unexpected extra argument" in message:
        hint = f"put a prompt of several words in quotes; {hint}"
    return UsageError(where, message[:1].lower() + message[1:], hint)
