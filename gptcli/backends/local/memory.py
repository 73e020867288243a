"""How much memory there is, and how much this process has taken at most."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from gptcli.engine.host.memory import available_bytes
from gptcli.errors import ResourceError
from gptcli.units import size

__all__ = ["available_bytes", "check", "peak_bytes"]


def check(subject: str, needs: str, needed: int, device: str) -> None:
    """Raise ResourceError where more bytes are needed than can still be taken.

    needs: what needs them, up to and with that verb.
    """
    available = available_bytes(device)
    if available is not None and needed > available:
        reason = f"{needs} {size(needed)} of memory, {size(available)} are free"
        raise ResourceError(subject, reason)


def peak_bytes(device: str) -> int | None:
    """Peak bytes on a CUDA device, else the process's peak resident size; None on Windows."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.max_memory_allocated()
    if sys.platform == "linux":
        # getrusage would also count what the parent had when it started us.
        found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
        return int(found[1]) * 1024 if found else None
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts in bytes, the BSDs in KiB.
    return peak if sys.platform == "darwin" else peak * 1024
