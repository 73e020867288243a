"""Peers that are Python libraries: a measurement is a worker in the environment that has them."""

from __future__ import annotations

import json
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
from tests.bench.peers.libraries import Library
from tests.bench.peers.process import Finished, run
from tests.bench.peers.workers.job import Job
from tests.bench.weights.places import Places

_ROOT = Path(__file__).parents[3]


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
        if find is None or case.measure not in self._library.measures:
            return None
        if not find(places).exists():
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
