"""The worker's side of `text.limited_process`: limits, then one answer for each request."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

Answer = Callable[[dict[str, Any]], dict[str, Any]]


def serve(make: Callable[[], Answer]) -> None:
    """Answer requests until stdin ends; sys.argv tells the seconds and bytes of the limits.

    make: what imports what is needed, under no limit yet. An answer must not have a key "error"
    that is "memory", which is said here for a MemoryError.
    """
    seconds, memory = float(sys.argv[1]), int(sys.argv[2])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answer = make()
    _limit(memory)
    for line in sys.stdin.buffer:
        _allow(seconds)
        try:
            found = json.dumps(answer(json.loads(line)))
        except MemoryError:
            found = '{"error": "memory"}'
        sys.stdout.write(found + "\n")
        sys.stdout.flush()
        _allow(0)


def _allow(seconds: float) -> None:
    """Computing for so long, then the system ends this process; 0 for as long as it will."""
    # No handler: Python would not call one before a number of a billion digits is there.
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _limit(memory: int) -> None:
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
