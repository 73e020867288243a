"""How much memory there is, and how much a model takes."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from gptcli.engine.host.cgroup import memory_left
from gptcli.engine.model.layer_shape import LayerShape
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
    """What a forward by torch over so many tokens needs beside weights and cache, about.

    The stream and what is added to it, queries, keys and values, what attention gathers, the MLP's
    hidden features and their product's other forms, what all layers are told of the tokens, each in
    numbers of `item` bytes; the scores of a layer's attention where torch has to write them out, in
    float32; and the logits of one token.
    """
    widest = max(
        spec.width,
        *(max(2 * shape.hidden, _attended(spec, shape)) for shape in spec.shapes),
        *(2 * sum(each.mixer.parts) for each in spec.each_layer if each.mixer),
    )
    told = 0 if spec.layer_inputs is None else 3 * spec.layers * spec.layer_inputs.size
    written_out = spec.sinks or spec.attention_softcap is not None
    scores = 4 * max(shape.heads for shape in spec.shapes) * tokens**2 if written_out else 0
    return item * (tokens * (3 * spec.width + 3 * widest + told) + spec.vocab) + scores


def _attended(spec: ModelSpec, shape: LayerShape) -> int:
    """Features of a token's queries, keys and values; of latents those of all heads are made."""
    latents = spec.latents
    if latents is None:
        return (shape.heads + 2 * shape.kv_heads) * shape.head_dim
    each = 2 * (latents.plain + latents.turned) + latents.value
    return shape.heads * each + latents.key


def least_tokens(context: int) -> int:
    """Of a context in use, those that a model has to have room for to be let in."""
    return min(LEAST_TOKENS, context)


def check(
    subject: str,
    spec: ModelSpec,
    weights: int,
    *,
    scratch: int,
    dtype: str,
    item: int,
    context: int,
    device: str,
) -> None:
    """Raise ResourceError where a model cannot fit, with what it needs and what there is.

    weights: their bytes in a dtype of `item` bytes; of a file that is mapped as well, which the
    system would bring in anew for each token. scratch: bytes that a forward over `least_tokens`
    needs. It fits where both do and the first step of a KV cache; what is told is the cache of the
    whole context in use.
    """
    available = available_bytes(device)
    least = weights + spec.cache_bytes(least_tokens(context), item) + scratch
    if available is None or least <= available:
        return
    kept = spec.cache_bytes(context, item) - spec.row_bytes
    cache = f"{size(kept)} for the KV cache of {context} tokens"
    if spec.row_bytes:
        cache = f"{cache}, {size(spec.row_bytes)} for the states of a text"
    needs = f"{size(weights)} of memory for its weights in {dtype} and {cache}"
    reason = f"needs {needs}, and {size(scratch)} to compute with"
    raise ResourceError(subject, f"{reason}; {size(available)} are free on {device}")
