"""How much memory there is, and how much a model takes."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from gptcli.engine.model.spec import ModelSpec
from gptcli.errors import ResourceError
from gptcli.units import size

#: Tokens that a KV cache has room for at the least: it grows by as many.
LEAST_TOKENS = 256


def available_bytes(device: str) -> int | None:
    """Bytes that can still be taken on a CUDA device or, on Linux, in main memory; else None."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.mem_get_info(device)[0]
    if device != "cpu" or sys.platform != "linux":
        return None
    found = re.search(r"MemAvailable:\s*(\d+) kB", Path("/proc/meminfo").read_text())
    return int(found[1]) * 1024 if found else None


def check(
    subject: str, spec: ModelSpec, weights: int, *, dtype: str, item: int, context: int, device: str
) -> None:
    """Raise ResourceError where a model cannot fit, with what it needs and what there is.

    weights: their bytes in a dtype of `item` bytes. It fits where the weights do and the first
    step of a KV cache; what is told is the cache of the whole context in use.
    """
    available = available_bytes(device)
    least = weights + spec.cache_bytes(min(LEAST_TOKENS, context), item)
    if available is None or least <= available:
        return
    cache = size(spec.cache_bytes(context, item))
    needs = f"needs {size(weights)} of memory for its weights in {dtype}"
    reason = f"{needs} and {cache} for the KV cache of {context} tokens"
    raise ResourceError(subject, f"{reason}; {size(available)} are free on {device}")
