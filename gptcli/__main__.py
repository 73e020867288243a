"""`gptcli` and `python -m gptcli`."""

from __future__ import annotations

import os
import sys


def run() -> None:
    """Run the command line and exit with its code."""
    try:
        _leave_working_directory()
        from gptcli.cli.boundary import main

        code = main(sys.argv[1:])
    except KeyboardInterrupt:
        # It came before the boundary stood, or after it was left.
        code = 130
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


if __name__ == "__main__":
    run()
