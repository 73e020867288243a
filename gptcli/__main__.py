"""`gptcli` and `python -m gptcli`."""

from __future__ import annotations

import sys


def run() -> None:
    """Run the command line and exit with its code."""
    try:
        from gptcli.cli.boundary import main

        code = main(sys.argv[1:])
    except KeyboardInterrupt:
        # It came before the boundary stood, or after it was left.
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    run()
