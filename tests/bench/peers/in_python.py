"""Peers that are Python libraries: a measurement is a worker in the environment that has them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

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
from tests.bench.peers.process import Finished, run
from tests.bench.peers.workers.job import Job
from tests.bench.weights.places import Places

_ROOT = Path(__file__).parents[3]
#: Measures of programs, which libraries are not.
_NOT_THEIRS = ("long", "avx2", "warm", "served")


@dataclass(frozen=True)
class Library:
    """A peer: its distribution's name, its worker, and where its weights of a dtype lie.

    weights: dtype → how to find them; dtypes that it does not have are not there.
    """

    name: str
    distribution: str
    worker: str
    weights: Mapping[str, Callable[[Places], Path]]


LIBRARIES = (
    Library(
        "transformers",
        "transformers",
        "with_transformers",
        dict.fromkeys(("float32", "bfloat16"), lambda places: places.checkpoint),
    ),
    Library(
        "ctranslate2",
        "ctranslate2",
        "with_ctranslate2",
        {
            "float32": lambda places: places.ctranslate2("float32"),
            "int8": lambda places: places.ctranslate2("int8"),
        },
    ),
    Library(
        "openvino",
        "openvino-genai",
        "with_openvino",
        {
            "float32": lambda places: places.openvino("float32"),
            "bfloat16": lambda places: places.openvino("bfloat16"),
            "int8": lambda places: places.openvino("int8"),
            "int4": lambda places: places.openvino("int4"),
        },
    ),
)


class PythonPeer:
    """A library in the environment of `python`."""

    def __init__(self, library: Library, python: Path, new_tokens: int = NEW_TOKENS) -> None:
        self.name = library.name
        self._library, self._python, self._new = library, python, new_tokens

    def version(self) -> str:
        """The installed version. Raises MeasureError where it is not installed."""
        code = f"import importlib.metadata as m; print(m.version({self._library.distribution!r}))"
        return run([str(self._python), "-c", code]).output.strip()

    def measure(self, case: Case, places: Places) -> Measure | None:
        """None for a dtype that it does not have, or whose weights were not made."""
        find = self._library.weights.get(case.dtype)
        if find is None or not find(places).exists() or case.measure in _NOT_THEIRS:
            return None
        job = self._job(case, find(places), places.checkpoint / "tokenizer.json")
        if case.measure == "start":
            return lambda: self._run(job).seconds
        if case.measure == "memory":
            return lambda: float(self._run(job).peak)
        return lambda: _rate(self._run(job).output)

    def _job(self, case: Case, model: Path, tokenizer: Path) -> Job:
        rows, prompt, new = {
            "decode": (1, case.depth, self._new),
            "prefill": (1, PROMPT_TOKENS, 1),
            "batch": (BATCH, BATCH_PROMPT, BATCH_NEW),
            "start": (1, 0, 1),
            "memory": (1, 0, MEMORY_NEW),
        }[case.measure]
        kind = case.measure if prompt else "complete"
        files = str(model), str(tokenizer)
        return Job(kind, *files, case.dtype, case.threads, rows, prompt, new, PROMPT)

    def _run(self, job: Job) -> Finished:
        module = f"tests.bench.peers.workers.{self._library.worker}"
        # OpenMP's pools are made when a library is loaded, before it can be told of threads.
        variables = {"PYTHONPATH": str(_ROOT), "OMP_NUM_THREADS": str(job.threads)}
        return run([str(self._python), "-m", module, job.as_json()], variables)


def _rate(output: str) -> float:
    try:
        return float(json.loads(output.strip().splitlines()[-1])["tokens_per_second"])
    except (IndexError, KeyError, ValueError):
        raise MeasureError("the worker printed no rate") from None
