"""A Ray cluster whose workers are killed gives the bytes of a run in one process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.faults.processes import GPTCLI, marked, runs, wait_for

pytestmark = pytest.mark.servers
pytest.importorskip("ray")


def workers(mark: str) -> list[int]:
    """Ids of the processes in which Ray runs our workers."""
    found = []
    for pid in marked(mark):
        title = Path(f"/proc/{pid}/cmdline").read_bytes()
        if re.match(rb"ray::Worker", title):
            found.append(pid)
    return found


@pytest.mark.parametrize("kills", [0, 3])
def test_workers_that_are_killed(base_model, tmp_path, kills):
    """Catches a row that is lost with its worker, or told twice, or answered otherwise."""
    rows, mark = tmp_path / "rows.jsonl", f"cluster-{os.getpid()}-{kills}"
    texts = [{"id": n, "prompt": f"the cat {n % 13}", "max_tokens": 40 + n % 9} for n in range(600)]
    rows.write_text("".join(f"{json.dumps(each)}\n" for each in texts))
    flags = ["complete", "-m", str(base_model), "--seed", "2", "--temp", "1", "--batch", str(rows)]
    alone, out = tmp_path / "alone.jsonl", tmp_path / "out.jsonl"
    subprocess.run([*GPTCLI, *flags, "-o", str(alone)], check=True)
    command = [*GPTCLI, *flags, "-o", str(out), "--ray", "local", "--workers", "2"]
    journal = tmp_path / "out.jsonl.journal"
    with subprocess.Popen(command, env=os.environ | {"GPTCLI_TEST_MARK": mark}) as child:

        def done() -> int:
            return journal.read_bytes().count(b"\n") if journal.exists() else 0

        died = 0
        for _ in range(kills):
            before = done()
            assert wait_for(lambda before=before: done() > before + 20 and workers(mark), 120)
            assert child.poll() is None
            (victim, *_) = workers(mark)
            os.kill(victim, signal.SIGKILL)
            died += wait_for(lambda victim=victim: not runs(victim), 20)
            time.sleep(0.2)
        assert child.wait(300) == 0
    assert died == kills
    assert out.read_bytes() == alone.read_bytes()
    assert wait_for(lambda: not marked(mark), 30)
