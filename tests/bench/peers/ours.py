"""gptcli itself: `gptcli bench` for rates, `gptcli complete` as a process for the rest."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gptcli import __version__
from tests.bench.peers import clients
from tests.bench.peers.cases import (
    BATCH,
    MANY,
    MEMORY_NEW,
    NEW_TOKENS,
    OURS,
    PROMPT,
    PROMPT_TOKENS,
    Case,
    Measure,
    MeasureError,
)
from tests.bench.peers.process import Finished, run
from tests.bench.weights.places import Places, is_file_type

#: What `bench` is asked for, and where its line has the figure.
_BENCH = {"decode": "decode", "avx2": "decode", "long": "decode", "prefill": "prefill"}
_BENCH |= {"batch": "batch", "read": "decode"}


class Gptcli:
    """This checkout. Its packed weights are kept in `data`, apart from the user's own."""

    name = OURS

    def __init__(self, data: Path, new_tokens: int = NEW_TOKENS) -> None:
        self._data, self._new = data, new_tokens
        self._bandwidth: dict[Case, float] = {}

    @property
    def _variables(self) -> dict[str, str]:
        # As pip leaves what it installs: compiled, which a developer's shell may have turned off.
        return {"GPTCLI_DATA_DIR": str(self._data), "PYTHONDONTWRITEBYTECODE": ""}

    def version(self) -> str:
        """Its own number."""
        return __version__

    def measure(self, case: Case, places: Places) -> Measure:
        """Everything can be measured."""
        model = [*_model(places, case.dtype), "--threads", str(case.threads)]
        if case.measure in _BENCH:
            what = _BENCH[case.measure]
            # A round a process: rounds are counted by whoever interleaves us with others.
            command = ["bench", *model, "--json", "--rounds", "1", "--measure", what]
            if what == "decode":
                command += ["--depth", str(case.depth), "-n", str(self._new)]
            elif what == "prefill":
                command += ["--prompt-tokens", str(PROMPT_TOKENS)]
            else:
                command += ["--batch", str(BATCH)]
            variables = {"GPTCLI_CPU_FEATURES": "avx2"} if case.measure == "avx2" else {}
            read = self._read if case.measure == "read" else _rate
            return lambda: read(case, self._run(command, variables).output)
        if case.measure == "many":
            return self.in_process(case, places, MANY)
        if case.measure == "served":
            served = [sys.executable, "-m", "gptcli", "serve", "-q", *model]
            return lambda: clients.rate(served, self._variables)
        if case.measure == "warm":
            return lambda: self._through_server(model)
        new = 1 if case.measure == "start" else MEMORY_NEW
        command = ["complete", *model, "--no-server", "-n", str(new), "--temp", "0", PROMPT]
        if case.measure == "start":
            return lambda: self._run(command).seconds
        return lambda: float(self._run(command).peak)

    def warm(self, places: Places, dtype: str) -> None:
        """Packs the weights, so that no round pays for it. Raises MeasureError."""
        self._run(["complete", *_model(places, dtype), "-n", "1", PROMPT])

    def in_process(
        self, case: Case, places: Places, prompts: int = BATCH, *, most: int | None = None
    ) -> Measure:
        """What `served` measures, without a server; at most so many prompts run at once."""
        worker = [sys.executable, "-m", "tests.bench.peers.workers.in_process"]
        command = [*worker, *_model(places, case.dtype), "--threads", str(case.threads)]
        command += ["--prompts", str(prompts), *(["--most", str(most)] if most else [])]
        return lambda: float(_line(run(command, self._variables).output)["tokens_per_second"])

    def bandwidth(self, case: Case) -> Measure:
        """Bytes per second that the last process to measure a case of `read` read of memory."""

        def measure() -> float:
            if case not in self._bandwidth:
                raise MeasureError(f"nothing was measured of {case}")
            return self._bandwidth[case]

        return measure

    def _read(self, case: Case, output: str) -> float:
        """Bytes per second of weights and KV cache that tokens are made of."""
        self._bandwidth.pop(case, None)
        rate = _rate(case, output)
        self._bandwidth[case] = _figure(case, output, "read_bandwidth_bytes_per_second")
        return rate * float(_line(output)["decode"][0]["read_bytes_per_token"])

    def _through_server(self, model: list[str]) -> float:
        """Seconds of a process through a server that is there, and has answered before."""
        command = ["complete", *model, "-n", "1", "--temp", "0", PROMPT]
        self._run(["serve", "--background", "--idle-timeout", "1", *model])
        self._run(command)
        return self._run(command).seconds

    def _run(self, arguments: list[str], variables: Mapping[str, str] | None = None) -> Finished:
        added = {**self._variables, **(variables or {})}
        return run([sys.executable, "-m", "gptcli", *arguments], added)


def _model(places: Places, dtype: str) -> list[str]:
    """A checkpoint in a dtype, or a file as it is."""
    if is_file_type(dtype):
        return ["-m", str(places.gguf(dtype))]
    return ["-m", str(places.checkpoint), "--dtype", dtype]


def _rate(case: Case, output: str) -> float:
    """Tokens per second, or seconds per token for `long`, from the line of `bench --json`."""
    rate = _figure(case, output, f"{_BENCH[case.measure]}_tokens_per_second")
    return 1 / rate if case.measure == "long" else rate


def _figure(case: Case, output: str, name: str) -> float:
    try:
        return float(_line(output)[name])
    except (IndexError, KeyError, TypeError, ValueError):
        raise MeasureError(f"gptcli bench printed no rate of {case}") from None


def _line(output: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    return found
