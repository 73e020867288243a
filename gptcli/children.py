"""Modules in a process of their own, which imports nothing from the working directory.

`-c` and `-m` put the current directory first among the places that modules are looked for, so
that a `json.py` there would be run with the user's rights. A child is started with the places
that are its parent's, less that one, and ends when its parent is gone.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

_BEGIN = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    " from gptcli.children import begin; begin()"
)
_POLL_SECONDS = 0.2


def command(module: str, *arguments: str, site: bool = False) -> list[str]:
    """The command line that runs `module`, as `python -m` would, with arguments.

    site: with the environment that the user has made for Python: what is not ours may ask it where
    it is installed.
    """
    # -I: neither the current directory nor PYTHON… variables; -S: no .pth files, which are code;
    # -P: all of that but the current directory.
    begin = [sys.executable, *(["-P"] if site else ["-I", "-S"]), "-c", _BEGIN]
    return [*begin, json.dumps(search_path()), str(os.getpid()), module, *arguments]


def search_path() -> list[str]:
    """Where modules are looked for, without the working directory; our own is always there."""
    found = [each for each in sys.path if Path(each).is_absolute()]
    # A directory that was removed has no path, and no modules.
    with suppress(FileNotFoundError):
        here = os.path.realpath(os.curdir)
        found = [each for each in found if os.path.realpath(each) != here]
    own = str(Path(__file__).parents[1])
    return found if own in found else [*found, own]


def begin() -> None:
    """What a child does first: sys.argv is [_, search path, parent, module, arguments…]."""
    _, _, parent, module, *arguments = sys.argv
    threading.Thread(target=_end_with, args=(int(parent),), daemon=True).start()
    sys.argv[:] = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        # It leads a group of its own, those that it has started: they go with it.
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)
