"""How much memory this process has taken at most."""

from __future__ import annotations

import re
import sys
from pathlib import Path


def available_bytes(device: str) -> int | None:
    """Bytes that can still be taken on a CUDA device or, on Linux, in main memory; else None.

    device: as --device names it.
    """
    if device.startswith("cuda"):
        import torch

        return torch.cuda.mem_get_info()[0]
    if sys.platform != "linux":
        return None
    found = re.search(r"MemAvailable:\s*(\d+) kB", Path("/proc/meminfo").read_text())
    return int(found[1]) * 1024 if found else None


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
