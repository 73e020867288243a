"""How much memory there is, and how much this process has taken at most."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from gptcli.engine.memory import available_bytes

__all__ = ["available_bytes", "peak_bytes"]


def peak_bytes(device: str) -> int | None:
    """Peak bytes on a CUDA device, else the process's peak resident size; None on Windows."""
    if device == "cuda":
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
