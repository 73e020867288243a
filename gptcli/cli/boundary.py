"""The one error boundary: whatever happens becomes one line on stderr and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from gptcli import signals
from gptcli.cli import direct
from gptcli.cli.environment import Environment
from gptcli.cli.guard import told_apart
from gptcli.errors import GptcliError, ResourceError, UsageError
from gptcli.ui.terminal.stream import PipeClosedError

OK, BUG = 0, 1
#: The variable by which a shell asks what could stand on a command line.
COMPLETING = "_GPTCLI_COMPLETE"
#: By signal, as shells tell it; `gptcli` as a process ends by the signal itself.
HUNG_UP, INTERRUPTED, PIPE_CLOSED, TERMINATED = 129, 130, 141, 143


def main(argv: Sequence[str], environment: Environment | None = None) -> int:
    """Run one command line and give its exit code. See design: 0, 1 to 9, 129, 130, 141, 143.

    environment: by default that of this process.
    """
    around = environment or Environment.of_process()
    if COMPLETING in os.environ:
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
    try:
        # What a shell asks for by this variable, Typer answers.
        known = None if COMPLETING in os.environ else direct.read(argv)
        if known is not None:
            known.run(environment)
            code: object = OK
        else:
            from gptcli.cli.app import app

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
    if "typer" in sys.modules:
        from gptcli.cli.usage import usage

        found = usage(error, argv)
        if found is not None:
            return found
    if isinstance(error, MemoryError) or _is_torch_memory(error):
        return ResourceError("memory", "there is not enough of it for this model and context")
    return None


def _is_torch_memory(error: BaseException) -> bool:
    if not isinstance(error, RuntimeError):
        return False
    return type(error).__name__ == "OutOfMemoryError" or any(
        sign in str(error) for sign in ("can't allocate memory", "Cannot allocate memory")
    )
