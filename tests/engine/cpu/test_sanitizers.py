"""The kernels under the compiler's sanitizers: `pytest -m sanitizer tests/engine/cpu`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gptcli.engine.cpu import build


@pytest.mark.sanitizer
@pytest.mark.parametrize("sanitizer", ["address,undefined", "thread"])
def test_nothing_to_complain_of(sanitizer, tmp_path):
    """Catches reads beyond an array, arithmetic without a meaning, and threads that race."""
    flags = [*build.FLAGS, "-O1", "-g", f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all"]
    compiler, objects = build.find_compiler(), []
    program = Path(__file__).with_name("sanitized.cpp")
    for source in [*sorted(build.SOURCE.glob("*.cpp")), program]:
        out = tmp_path / f"{source.stem}.o"
        extra = [*build.X86.get(source.name, ()), f"-I{build.SOURCE}"]
        subprocess.run([compiler, *flags, *extra, "-c", source, "-o", out], check=True)
        objects.append(out)
    run = tmp_path / "run"
    subprocess.run([compiler, *flags, *objects, "-o", run], check=True)
    done = subprocess.run([run], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "portable" in done.stdout.splitlines()
