"""How much memory there is, and how much a model takes."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from gptcli.engine.host.cgroup import memory_left
from gptcli.engine.model.spec import ModelSpec
from gptcli.errors import ResourceError
from gptcli.units import size

#: Tokens that a KV cache has room for at the least: it grows by as many.
LEAST_TOKENS = 256


def available_bytes(device: str) -> int | None:
    """Bytes that can still be taken on a CUDA device or, on Linux, in main memory; else None.

    In a container no more than that has left.
    """
    if device.startswith("cuda"):
        import torch

        return torch.cuda.mem_get_info(device)[0]
    if device != "cpu" or sys.platform != "linux":
        return None
    found = re.search(r"MemAvailable:\s*(\d+) kB", Path("/proc/meminfo").read_text())
    free = [int(found[1]) * 1024] if found else []
    left = memory_left()
    return min([*free, *([] if left is None else [left])], default=None)


def scratch_bytes(spec: ModelSpec, tokens: int, item: int) -> int:
    """What a forward over so many tokens needs beside weights and cache, about.

    The stream and what is added to it, queries, keys and values, what attention gathers, the MLP's
    hidden features and their product's other forms, each in numbers of `item` bytes; and the logits
    of one token.
    """
    widest = max(
        spec.width,
        *(
            max(2 * shape.hidden, (shape.heads + 2 * shape.kv_heads) * shape.head_dim)
            for shape in spec.shapes
        ),
    )
    return item * (tokens * (3 * spec.width + 3 * widest) + spec.vocab)


def check(
    subject: str, spec: ModelSpec, weights: int, *, dtype: str, item: int, context: int, device: str
) -> None:
    """Raise ResourceError where a model cannot fit, with what it needs and what there is.

    weights: their bytes in a dtype of `item` bytes; 0 where they are in a file that is mapped,
    which the system brings in and gives back. It fits where the weights do, the first step of a KV
    cache and what a forward over so many tokens needs; what is told is the cache of the whole
    context in use.
    """
    available = available_bytes(device)
    tokens = min(LEAST_TOKENS, context)
    least = weights + spec.cache_bytes(tokens, item) + scratch_bytes(spec, tokens, item)
    if available is None or least <= available:
        return
    cache = f"{size(spec.cache_bytes(context, item))} for the KV cache of {context} tokens"
    needs = f"{size(weights)} of memory for its weights in {dtype} and " if weights else ""
    scratch = f"{size(scratch_bytes(spec, tokens, item))} to compute with"
    reason = f"needs {needs}{cache}, and {scratch}"
    raise ResourceError(subject, f"{reason}; {size(available)} are free on {device}")
