"""Signals while libraries load."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gptcli import signals


def test_a_signal_waits_for_the_end_of_the_block():
    """Catches an exception in the middle of an import, which the import may swallow."""
    reached = False
    with pytest.raises(KeyboardInterrupt), signals.held():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
        reached = True
    assert reached


def test_handlers_are_as_before_afterwards():
    """Catches a handler that stays, with which Ctrl-C would do nothing for good."""
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with signals.held():
        pass
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


#: Through torch, which takes long to load.
COMMAND = [
    *("complete", "-n", "50", "--samples", "4096", "--logit-bias", "0=-inf"),
    *("--cpu-features", "none", "a"),
]


@pytest.mark.parametrize(
    ("seconds", "number"), [(0.0, signal.SIGINT), (0.3, signal.SIGTERM), (0.0, signal.SIGHUP)]
)
def test_signals_while_the_engine_loads(seconds, number, tiny_model):
    """Catches a signal that is lost in torch's import, or a process that aborts there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gptcli", *COMMAND, "-m", str(tiny_model)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    maps = Path(f"/proc/{process.pid}/maps")
    while maps.exists() and "torch" not in maps.read_text() and process.poll() is None:
        time.sleep(0.005)
    time.sleep(seconds)
    process.send_signal(number)
    errors = process.communicate(timeout=60)[1]
    assert (process.returncode, errors) == (-number, b"")
