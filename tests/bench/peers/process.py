"""A measurement as a process of its own: its output, its time by the wall, its peak memory."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.bench.peers.cases import MeasureError

#: Seconds after which a process is ended: more than any measurement takes.
PATIENCE = 900.0


@dataclass(frozen=True)
class Finished:
    """What a process left. peak: bytes that were in memory at most (ru_maxrss of it alone)."""

    output: str
    seconds: float
    peak: int


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Finished:
    """Run a command to its end; `environment` is added to ours. Raises MeasureError.

    ru_maxrss of a child begins with what its parent held when it was started, so that whoever
    calls this has to stay small: no torch, no numpy.
    """
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        try:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, **(environment or {})},
            )
        except OSError as error:
            raise MeasureError(f"{command[0]}: {error.strerror}") from None
        assert child.stdout is not None
        patience = threading.Timer(PATIENCE, child.kill)
        patience.start()
        try:
            with child.stdout:
                output = child.stdout.read()
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            child.kill()
            raise
        finally:
            patience.cancel()
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip().splitlines()
            last = said[-1] if said else "no word of why"
            raise MeasureError(f"{command[0]} ended with {child.returncode}: {last}")
    # Linux counts in KiB.
    return Finished(output.decode(errors="replace"), seconds, usage.ru_maxrss * 1024)
