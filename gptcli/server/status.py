"""How a server is, for whoever asks for all that run."""

from __future__ import annotations

import os
import time
from dataclasses import fields, replace
from pathlib import Path

from gptcli import config
from gptcli.server.desk import Desk
from gptcli.types.compute import DRAFTING, Compute
from gptcli.types.served import Status

#: Settings that are not told: what the model's line has, and what changes no answer.
_UNTOLD = ("model", *DRAFTING, "no_server", "by_hand")


def begun(compute: Compute, socket: Path) -> Status:
    """A server that is ready now."""
    return Status(
        pid=os.getpid(),
        socket=str(socket),
        model=compute.model,
        settings=in_words(compute),
        since=time.time(),
        memory=None,
        open=0,
        idle_seconds=0.0,
        leaves_after=None,
    )


def now(first: Status, desk: Desk) -> Status:
    """The same as it is now."""
    return replace(first, memory=_memory(), open=desk.open, idle_seconds=desk.idle_seconds)


def in_words(compute: Compute) -> str:
    """The settings that are not the usual ones, as flags."""
    usual, said = Compute(), []
    for each in fields(compute):
        value = getattr(compute, each.name)
        if each.name in _UNTOLD or value == getattr(usual, each.name):
            continue
        flag = f"--{config.key_of(each.name)}"
        if each.name in ("adapter", "steer"):
            said += [f"{flag} {one.name}" for one in value]
        else:
            said.append(flag if value is True else f"{flag} {value}")
    return " ".join(said)


def _memory() -> int | None:
    """Bytes of main memory that this process holds; None where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
