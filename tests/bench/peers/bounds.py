"""Bounds that are no peers: the memory that weights take, gptcli itself at a short context."""

from __future__ import annotations

from collections.abc import Iterator

from gptcli.formats.safetensors import stored
from tests.bench.peers.cases import MANY, MEMORY_NEW, SHORT, Case, Side
from tests.bench.peers.ours import Gptcli
from tests.bench.weights import sizes
from tests.bench.weights.places import Places, is_file_type

#: Names of the sides; targets.py knows them.
ALLOWED, ALLOWED_OF_FILE = "weights + KV + 150 MB", "file + KV + 120 MB"
BANDWIDTH = "read bandwidth"
ITSELF = f"itself at {SHORT}"
IN_PROCESS = "in-process"
ONE_BY_ONE = "one by one"
#: Bits of a weight: a group of 32 has a scale of 16 bits, that of int4 also a minimum.
_BITS = {"float32": 32.0, "bfloat16": 16.0, "int8": 8 + 16 / 32, "int4": 4 + 32 / 32}
#: Bytes that a process without torch may hold beside weights and KV cache, and beside a file's.
_BESIDE, _BESIDE_FILE = 150e6, 120e6
#: Of the prompt, at most.
_PROMPT_TOKENS = 16


def sides(case: Case, places: Places, ours: Gptcli) -> Iterator[Side]:
    """The other sides of a case that are no peers."""
    if case.measure == "memory":
        bound = allowed(places, case.dtype)
        yield Side(ALLOWED_OF_FILE if is_file_type(case.dtype) else ALLOWED, lambda: bound)
    if case.measure == "read":
        yield Side(BANDWIDTH, ours.bandwidth(case))
    if case.measure == "served":
        yield Side(IN_PROCESS, ours.in_process(case, places))
    if case.measure == "many":
        yield Side(ONE_BY_ONE, ours.in_process(case, places, MANY, most=1))
    if case.measure == "long":
        short = Case("long", case.dtype, case.threads, SHORT)
        yield Side(ITSELF, ours.measure(short, places))


def allowed(places: Places, dtype: str) -> float:
    """Bytes: every weight once, the keys and values of one completion (2 bytes each), the rest."""
    cache = 2 * sizes.read(places).cached * (_PROMPT_TOKENS + MEMORY_NEW)
    if is_file_type(dtype):
        return places.gguf(dtype).stat().st_size + cache + _BESIDE_FILE
    parameters = stored.read(places.checkpoint).elements
    return parameters * _BITS[dtype] / 8 + cache + _BESIDE
