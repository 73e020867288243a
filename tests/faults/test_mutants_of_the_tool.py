"""Mutants once more through the tool itself: what a shell sees of it, and what it took."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults import mutations
from tests.faults.mutants import ALLOWED, MEMORY
from tests.faults.scale import number
from tests.faults.test_mutated_configs import _MORE
from tests.faults.test_mutated_gguf import tiny
from tests.faults.test_mutated_weights import mutant as weights_mutant

#: Of a start that reads all, on a busy machine: seconds of computing.
_SECONDS = 10.0
_TOOL = [sys.executable, "-P", "-m", "gptcli"]


def _one(seed: int, tiny_model: Path, to: Path) -> Path:
    """A model that was broken in one of its files, or a GGUF file."""
    from tests.faults.gguf_files import mutant as gguf_mutant

    rng = random.Random(seed)
    kind = rng.choice(["weights", "config", "gguf", "generation"])
    if kind == "gguf":
        to = to.with_suffix(".gguf")
        to.write_bytes(gguf_mutant(rng, tiny()))
        return to
    shutil.copytree(tiny_model, to)
    if kind == "weights":
        path = to / "model.safetensors"
        path.write_bytes(weights_mutant(rng, path.read_bytes()))
    elif kind == "config":
        path = to / "config.json"
        path.write_bytes(mutations.object_of(rng, json.loads(path.read_text()), _MORE))
    else:
        held = {"temperature": 0.7, "top_k": 5, "eos_token_id": [1, 2]}
        (to / "generation_config.json").write_bytes(mutations.object_of(rng, held, {}))
    return to


@pytest.mark.slow
@number(400)
def test_mutants_through_the_tool(tiny_model: Path, tmp_path: Path, times: int) -> None:
    """A traceback, a warning beside the one line, a code that says that it is our bug."""
    environment = {**os.environ, "GPTCLI_DATA_DIR": str(tmp_path / "data"), "OMP_NUM_THREADS": "1"}
    failed = 0
    for seed in range(times):
        model = _one(seed, tiny_model, tmp_path / f"m{seed}")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [*_TOOL, "complete", "-m", str(model), "-n", "1", "the cat"],
            env=environment, cwd=tmp_path, capture_output=True, timeout=60,
        )  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        said = done.stderr.decode()
        errors = [line for line in said.splitlines() if line.startswith("gptcli: error: ")]
        others = [line for line in said.splitlines() if not line.startswith("gptcli: ")]
        # Weights or settings that make no numbers are told as such.
        fine = done.returncode in ALLOWED or (done.returncode == 8 and "NaN or infinite" in said)
        assert fine and not others, (seed, done.returncode, said)
        assert len(errors) == (done.returncode != 0), (seed, said)
        assert took < _SECONDS and after.ru_maxrss * 1024 < MEMORY + (512 << 20), (seed, took)
        failed += done.returncode != 0
    assert failed > times / 4, "hardly any mutant was broken"
