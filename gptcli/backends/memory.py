"""How much memory this process has taken at most."""

from __future__ import annotations

import sys


def peak_bytes(device: str) -> int | None:
    """Peak bytes on a CUDA device, else the process's peak resident size; None on Windows."""
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated()
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return peak if sys.platform == "darwin" else peak * 1024
