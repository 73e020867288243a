"""Bounds that are no peers: the memory that weights take, gptcli itself at a short context."""

from __future__ import annotations

import json
from collections.abc import Iterator

from gptcli.formats.safetensors import stored
from tests.bench.peers.cases import MEMORY_NEW, SHORT, Case, Side
from tests.bench.peers.ours import Gptcli
from tests.bench.weights.places import Places

#: Names of the sides; targets.py knows them.
ALLOWED = "weights + KV + 150 MB"
ITSELF = f"itself at {SHORT}"
#: Bits of a weight: a group of 32 has a scale of 16 bits, that of int4 also a minimum.
_BITS = {"float32": 32.0, "bfloat16": 16.0, "int8": 8 + 16 / 32, "int4": 4 + 32 / 32}
#: Bytes that a process without torch may hold beside weights and KV cache.
_BESIDE = 150e6
#: Of the prompt, at most.
_PROMPT_TOKENS = 16


def sides(case: Case, places: Places, ours: Gptcli) -> Iterator[Side]:
    """The other sides of a case that are no peers."""
    if case.measure == "memory":
        bound = allowed(places, case.dtype)
        yield Side(ALLOWED, lambda: bound)
    if case.measure == "long":
        short = Case("long", case.dtype, case.threads, SHORT)
        yield Side(ITSELF, ours.measure(short, places))


def allowed(places: Places, dtype: str) -> float:
    """Bytes: every weight once, the keys and values of one completion (2 bytes each), the rest."""
    config = json.loads((places.checkpoint / "config.json").read_text())
    layers = config.get("num_hidden_layers") or config["n_layer"]
    width = config.get("hidden_size") or config["n_embd"]
    heads = config.get("num_attention_heads") or config["n_head"]
    stored_heads = config.get("num_key_value_heads") or heads
    a_token = 2 * 2 * layers * stored_heads * (config.get("head_dim") or width // heads)
    parameters = stored.read(places.checkpoint).elements
    cache: int = a_token * (_PROMPT_TOKENS + MEMORY_NEW)
    return parameters * _BITS[dtype] / 8 + cache + _BESIDE
