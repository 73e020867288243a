"""llama.cpp: llama-bench for rates, llama-completion as a process for the rest.

llama-bench neither samples nor makes text of tokens. Its flags and fields:
https://github.com/ggml-org/llama.cpp/blob/master/tools/llama-bench/README.md
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tests.bench.peers import clients
from tests.bench.peers.cases import (
    BATCH,
    BATCH_NEW,
    BATCH_PROMPT,
    MEMORY_NEW,
    NEW_TOKENS,
    PROMPT,
    PROMPT_TOKENS,
    Case,
    Measure,
    MeasureError,
)
from tests.bench.peers.process import run
from tests.bench.weights.places import Places

#: Tokens of context of a completion.
_CONTEXT = 512


@dataclass(frozen=True)
class Programs:
    """Paths of what was built; `bench_avx2` of a build without AVX-512."""

    bench: Path | None = None
    completion: Path | None = None
    batched_bench: Path | None = None
    bench_avx2: Path | None = None
    server: Path | None = None


class LlamaCpp:
    """The programs that there are, on the GGUF files that there are."""

    name = "llama.cpp"

    def __init__(self, programs: Programs, new_tokens: int = NEW_TOKENS) -> None:
        self._programs, self._new = programs, new_tokens

    def version(self) -> str:
        """Nothing: a build does not know its release. Raises MeasureError without programs."""
        programs = self._programs
        given = [programs.bench, programs.completion, programs.bench_avx2, programs.batched_bench]
        given.append(programs.server)
        paths = [path for path in given if path is not None]
        if not paths:
            raise MeasureError("no path to llama-bench was given")
        for path in paths:
            if not path.is_file():
                raise MeasureError(f"{path}: no such file")
        return ""

    def measure(self, case: Case, places: Places) -> Measure | None:
        """None without the program or the file."""
        programs, file = self._programs, places.gguf(case.dtype)
        if not file.is_file():
            return None
        model = ["-m", str(file), "-t", str(case.threads)]
        if case.measure in ("decode", "prefill", "avx2"):
            program = programs.bench_avx2 if case.measure == "avx2" else programs.bench
            return None if program is None else self._bench(program, model, case)
        if case.measure == "batch" and programs.batched_bench is not None:
            return _batch(programs.batched_bench, model)
        if case.measure == "served" and programs.server is not None:
            return _serve(programs.server, model)
        if case.measure in ("start", "warm", "memory") and programs.completion is not None:
            return _complete(programs.completion, model, case)
        return None

    def _bench(self, program: Path, model: list[str], case: Case) -> Measure:
        if case.measure == "prefill":
            tokens = ["-p", str(PROMPT_TOKENS), "-n", "0"]
        else:
            tokens = ["-p", "0", "-n", str(self._new), "-d", str(case.depth)]
        command = [str(program), *model, *tokens, "-r", "1", "-o", "json"]
        return lambda: rate(run(command).output)


def rate(output: str) -> float:
    """Tokens per second of the only test in llama-bench's JSON. Raises MeasureError."""
    try:
        (test,) = json.loads(output)
        return float(test["avg_ts"])
    except (KeyError, TypeError, ValueError):
        raise MeasureError("llama-bench printed no JSON of one test") from None


def batch_rate(output: str) -> float:
    """New tokens per second of the whole call, from llama-batched-bench's JSON line."""
    for line in output.splitlines():
        if line.startswith("{"):
            try:
                found = json.loads(line)
                return BATCH * BATCH_NEW / (float(found["t_pp"]) + float(found["t_tg"]))
            except (KeyError, ValueError, ZeroDivisionError):
                break
    raise MeasureError("llama-batched-bench printed no line of JSON")


def _batch(program: Path, model: list[str]) -> Measure:
    context = BATCH * (BATCH_PROMPT + BATCH_NEW)
    sizes = ["-npp", str(BATCH_PROMPT), "-ntg", str(BATCH_NEW), "-npl", str(BATCH)]
    command = [str(program), *model, "-c", str(context), *sizes, "--output-format", "jsonl"]
    return lambda: batch_rate(run(command).output)


def _serve(program: Path, model: list[str]) -> Measure:
    # Room for each client's prompt and text, and no page for browsers.
    context = BATCH * 4 * (BATCH_PROMPT + BATCH_NEW)
    command = [str(program), *model, "-np", str(BATCH), "-c", str(context), "--no-webui"]
    return lambda: clients.rate(command)


def _complete(program: Path, model: list[str], case: Case) -> Measure:
    new = MEMORY_NEW if case.measure == "memory" else 1
    # At its best: without a warm-up, and with a KV cache no larger than such a completion needs,
    # where it would else hold one for the model's whole context from the start.
    least = ["-no-cnv", "--no-warmup", "-c", str(_CONTEXT)]
    command = [str(program), *model, "-p", PROMPT, "-n", str(new), "--temp", "0", *least]
    if case.measure == "memory":
        return lambda: float(run(command).peak)
    return lambda: run(command).seconds
