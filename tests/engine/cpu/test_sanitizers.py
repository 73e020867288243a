"""The kernels under the compiler's sanitizers: `pytest -m sanitizer tests/engine/cpu`."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gptcli.engine.cpu import build
from tests.engine.cpu.helpers import SETS


@pytest.mark.sanitizer
@pytest.mark.parametrize("sanitizer", ["address,undefined", "thread"])
def test_nothing_to_complain_of(sanitizer, tmp_path):
    """Catches reads beyond an array, arithmetic without a meaning, and threads that race."""
    plain = [build.find_compiler(), *build.FLAGS, "-g"]
    watched = [*plain, "-O1", f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all"]

    def compiled(source: Path) -> Path:
        out = tmp_path / f"{source.stem}.o"
        # What this processor has no instructions for takes the longest, and never runs here.
        runs = not source.stem.startswith("set_") or source.stem.removeprefix("set_") in SETS
        flags = watched if runs else [*plain, "-O0"]
        extra = [*build.X86.get(source.name, ()), f"-I{build.SOURCE}"]
        subprocess.run([*flags, *extra, "-c", source, "-o", out], check=True)
        return out

    program = Path(__file__).with_name("sanitized.cpp")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compiled, [*sorted(build.SOURCE.glob("*.cpp")), program]))
    run = tmp_path / "run"
    subprocess.run([*watched, *objects, "-o", run], check=True)
    done = subprocess.run([run], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:]
    assert set(SETS) <= set(done.stdout.splitlines())
