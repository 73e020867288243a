"""`gptcli` and `python -m gptcli`."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TextIO

from gptcli import signals


def run() -> None:
    """Run the command line and exit with its code, or by the signal that ended it."""
    try:
        signals.install()
        from gptcli.cli.boundary import main

        code = main(sys.argv[1:])
        signals.uninstall()
    except KeyboardInterrupt:
        # It came before the boundary stood, or after it was left.
        code = 130
    except signals.EndedError as ended:
        code = int(str(ended.code))
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            _settle(stream)
    signals.leave_by(code)
    sys.exit(code)


def _settle(stream: TextIO) -> None:
    """Keep Python from complaining, when it exits, about output that nobody takes."""
    try:
        stream.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    run()
