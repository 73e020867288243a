"""Measuring gptcli as a process: from its start to the end of a completion of one token."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

from gptcli import children
from gptcli.errors import ResourceError
from gptcli.types.bench import BenchRequest, Processes, Rounds
from gptcli.types.compute import Compute
from gptcli.types.events import Notice, Progress

PROMPT = "The capital of France is"
_LABEL = "processes"


def processes(
    compute: Compute, request: BenchRequest
) -> Generator[Progress | Notice, None, Processes]:
    """Start them one after the other, the first one uncounted. Raises ResourceError."""
    if not {"start", "memory"} & set(request.measures):
        return Processes()
    command = completion(compute)
    yield Progress(_LABEL, 0, request.rounds)
    _launch(command)
    found = []
    for done in range(1, request.rounds + 1):
        found.append(_launch(command))
        yield Progress(_LABEL, done, request.rounds)
    peaks = tuple(told["peak"] for told in found)
    return Processes(
        Rounds(tuple(told["seconds"] for told in found)) if "start" in request.measures else None,
        Rounds(peaks) if "memory" in request.measures and None not in peaks else None,
    )


def completion(compute: Compute) -> list[str]:
    """The command line that is measured: one greedy token, by the model and as it was set."""
    flags = {
        "--model": compute.model,
        "--device": compute.device,
        "--dtype": compute.dtype,
        "--kv-dtype": compute.kv_dtype,
        "--calibration": compute.calibration,
        "--threads": compute.threads,
        "--cpu-features": compute.cpu_features,
        # Said in any case: a variable or the user's file may say another.
        "--activations": compute.met_as,
        "--ctx-size": compute.ctx_size,
        "--temperature": 0,
        "--max-new-tokens": 1,
        "--prompt": PROMPT,
    }
    given = [f"{flag}={value}" for flag, value in flags.items() if value is not None]
    # -P: a directory gptcli where we stand is not taken for this one.
    return [sys.executable, "-P", "-m", "gptcli", "complete", "--quiet", "--no-server", *given]


def _launch(command: list[str]) -> dict[str, Any]:
    """What the launcher tells. Raises ResourceError where the command fails."""
    here = str(Path(__file__).parents[2])
    before = os.environ.get("PYTHONPATH")
    process = subprocess.Popen(
        children.command("gptcli.evaluation.launcher", *command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": f"{here}{os.pathsep}{before}" if before else here},
        # A group of its own, to be ended together with the process that it starts, by us or, when
        # we are gone, by itself.
        start_new_session=True,
    )
    try:
        told: dict[str, Any] = json.loads(process.communicate()[0])
    except BaseException:
        _end(process)
        raise
    if told["code"]:
        lines = told["errors"].strip().splitlines()
        reason = lines[-1].removeprefix("gptcli: error: ") if lines else "no word of why"
        raise ResourceError("gptcli complete", f"ended with {told['code']}: {reason}")
    return told


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()
