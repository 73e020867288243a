"""The ratios that gptcli is to reach, gptcli / other, as data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.bench.peers import best
from tests.bench.peers.bounds import (
    ALLOWED,
    ALLOWED_OF_FILE,
    BANDWIDTH,
    IN_PROCESS,
    ITSELF,
    ONE_BY_ONE,
)
from tests.bench.peers.cases import Case
from tests.bench.weights.places import is_file_type

#: model, depth, threads → dtype → at least so many times llama.cpp's rate.
_DECODE: dict[tuple[str, int, int], dict[str, float]] = {
    ("smollm2", 16, 2): {"float32": 1.3, "bfloat16": 1.3, "int8": 1.4, "int4": 1.45},
    ("smollm2", 1000, 2): {"float32": 1.5, "bfloat16": 1.8, "int8": 2.0, "int4": 2.3},
    ("smollm2", 16, 1): {"float32": 1.1, "bfloat16": 1.3, "int8": 1.6, "int4": 1.9},
    ("gpt2-124m", 16, 2): {"float32": 1.05, "bfloat16": 1.1, "int8": 1.3, "int4": 1.4},
    ("llama-1b", 16, 2): {"float32": 1.05, "bfloat16": 1.1, "int8": 1.2, "int4": 1.3},
}
#: What a processor with AVX-512 is held to instead.
_DECODE_AVX512 = {
    ("smollm2", 16, 2): {"float32": 1.5, "bfloat16": 1.5, "int8": 2.0, "int4": 1.8},
}
#: The same of prompts and of batches in every dtype, and of the best of another peer's.
_READING = {"llama.cpp": 1.8, best.BEST: 1.05}
#: model → the same of the types of files, at any depth, with 2 threads, and where it is large the
#: least share of the read bandwidth.
_OF_FILES = {"smollm2": 1.25, "gemma": 1.25, "llama-1b": 1.15, "qwen3-4b": 1.15}
_SHARE = {"llama-1b": 0.85, "qwen3-4b": 0.85}
#: peer → at most so many times the seconds to its first token, also with a large vocabulary.
_STARTS = ("smollm2", "gemma")
_START = {"llama.cpp": 1.3, "transformers": 0.2}
#: The same of a process whose server is there, against a peer's cold one.
_WARM = {"llama.cpp": 0.6}
_DEFAULT_MODEL = "smollm2"


@dataclass(frozen=True)
class Target:
    """A bound of a ratio, from below or from above."""

    ratio: float
    at_least: bool

    def met(self, ratio: float) -> bool:
        """Whether a ratio keeps it."""
        return ratio >= self.ratio if self.at_least else ratio <= self.ratio

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.ratio:g}"


#: Of sides that are no peers, for any model.
_BOUNDS = dict.fromkeys((ALLOWED, ALLOWED_OF_FILE), Target(1.0, at_least=False))
_BOUNDS |= {ITSELF: Target(1.5, at_least=False), IN_PROCESS: Target(0.95, at_least=True)}


def has_avx512(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this processor has it, as far as the system tells."""
    return cpuinfo.is_file() and "avx512f" in cpuinfo.read_text().split()


def target(model: str, case: Case, other: str, *, avx512: bool = False) -> Target | None:
    """What is to be reached against another side, None where nothing was set.

    avx512: whether the processor has it, where more is to be reached.
    """
    if case.measure in ("decode", "avx2") and other == "llama.cpp" and is_file_type(case.dtype):
        ratio = _OF_FILES.get(model) if case.threads == 2 else None
        return None if ratio is None else Target(ratio, at_least=True)
    if case.measure == "decode" and other == "llama.cpp":
        at = _DECODE | _DECODE_AVX512 if avx512 else _DECODE
        ratio = at.get((model, case.depth, case.threads), {}).get(case.dtype)
        return None if ratio is None else Target(ratio, at_least=True)
    if model == _DEFAULT_MODEL and case.measure in best.MEASURES and other in _READING:
        return Target(_READING[other], at_least=True)
    if model == _DEFAULT_MODEL and case.measure == "served" and other == "llama.cpp":
        return Target(1.2, at_least=True)
    if model == _DEFAULT_MODEL and other == ONE_BY_ONE:
        return Target(5.0, at_least=True) if case.dtype == "bfloat16" else None
    if other == BANDWIDTH:
        return Target(_SHARE[model], at_least=True) if model in _SHARE else None
    if model in _STARTS and case.measure == "start" and other in _START:
        return Target(_START[other], at_least=False)
    if model == _DEFAULT_MODEL and case.measure == "warm" and other in _WARM:
        return Target(_WARM[other], at_least=False)
    if model == _DEFAULT_MODEL and case.measure == "avx2":
        return Target(1.0, at_least=True)
    return _BOUNDS.get(other)
