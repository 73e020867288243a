"""How much memory there is, and how much this process has taken at most."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gptcli.engine.host.memory import available_bytes
from gptcli.errors import ResourceError
from gptcli.units import size

if TYPE_CHECKING:
    from gptcli.engine.runner import Runner

__all__ = ["available_bytes", "check", "check_samples", "peak_bytes"]


def check(subject: str, needs: str, needed: int, device: str) -> None:
    """Raise ResourceError where more bytes are needed than can still be taken.

    needs: what needs them, up to and with that verb.
    """
    available = available_bytes(device)
    if available is not None and needed > available:
        reason = f"{needs} {size(needed)} of memory, {size(available)} are free"
        raise ResourceError(subject, reason)


def check_samples(runner: Runner, prompt: int, more: int, samples: int) -> None:
    """Raise ResourceError where the samples' KV caches cannot fit, before any is made.

    They are of a prompt of so many tokens, and at most so many more.
    """
    from gptcli.engine.state.model_state import GROWTH

    # A first step of the cache at the least: most texts end long before their limit.
    tokens = min(prompt + min(more, GROWTH), runner.limit)
    needed = runner.spec.cache_bytes(tokens, runner.facts.itemsize, samples)
    check("--samples", f"{samples} at once need", needed, runner.facts.device)


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
