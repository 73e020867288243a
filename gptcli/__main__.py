"""`gptcli` and `python -m gptcli`."""

from __future__ import annotations

import sys


def run() -> None:
    """Run the command line and exit with its code."""
    from gptcli.cli.boundary import main

    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
