"""`gptcli` and `python -m gptcli`."""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import TextIO


#: What may have something to put in order before a process ends.
_HEAVY = frozenset({"torch", "numpy", "prompt_toolkit", "matplotlib", "ray", "openai", "uvicorn"})


def run() -> None:
    """Run the command line and exit with its code, or by the signal that ended it."""
    # What is imported stays: until a command runs (`cli.guard`) nobody looks for what does not.
    gc.disable()
    try:
        _leave_working_directory()
        from gptcli import signals

        _exit(_run(signals))
    except KeyboardInterrupt:
        # It came before the boundary stood, or after it was left. A shell's loop goes on at a code.
        import signal

        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)


def _run(signals: ModuleType) -> int:
    try:
        signals.install()
        from gptcli.cli.boundary import main

        code = main(sys.argv[1:])
        signals.uninstall()
    except (KeyboardInterrupt, signals.EndedError) as error:
        code = signals.on_the_way_out(error)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            _settle(stream)
    signals.leave_by(code)
    return code


def _exit(code: int) -> None:
    """Exit; Python takes all it has apart before, which takes longer than many a small command."""
    import atexit
    import threading

    if threading.active_count() == 1 and not _HEAVY & sys.modules.keys():
        atexit._run_exitfuncs()
        os._exit(code)
    sys.exit(code)


def _leave_working_directory() -> None:
    """Look for modules elsewhere: a json.py beside a downloaded model is no module of ours.

    `python -m` puts the current directory first, and an empty part of PYTHONPATH means it too.
    What this needs is imported before Python comes here.
    """
    try:
        here = os.path.realpath(os.curdir)
    except OSError:
        # It was removed.
        return
    if here != os.path.dirname(os.path.dirname(__file__)):  # noqa: PTH120 - pathlib is not there
        sys.path[:] = [each for each in sys.path if os.path.realpath(each) != here]


def _settle(stream: TextIO) -> None:
    """Keep Python from complaining, when it exits, about output that nobody takes."""
    from contextlib import suppress

    try:
        stream.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    run()
