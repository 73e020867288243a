"""A Ray cluster whose workers are killed gives the bytes of a run in one process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.backends.remote.serving import free_port
from tests.faults.processes import GPTCLI, marked, runs, wait_for
from tests.server.processes import serving

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


@pytest.mark.parametrize("named", [False, True])
def test_workers_that_ask_a_server(tiny_model, tmp_path, named):
    """Catches a worker that opens a model itself, or has no key since its machine has none.

    By the name that the server has for it nobody finds the model on this disk.
    """
    rows, token = tmp_path / "rows.jsonl", "a-token-of-some-length"
    texts = [{"id": n, "prompt": f"the cat {n % 13}", "max_tokens": 9 + n % 9} for n in range(200)]
    rows.write_text("".join(f"{json.dumps(each)}\n" for each in texts))
    flags = ["--seed", "2", "--temp", "1", "--batch", str(rows)]
    with serving(tmp_path / "log", model=str(tiny_model), GPTCLI_SERVE_TOKEN=token) as server:
        url = f"{server.base}/v1"
        place = ["--base-url", url]
        # Whoever began the cluster knows nothing of the user's settings and keys.
        home, begun = tmp_path / "home", os.environ | {"XDG_CONFIG_HOME": str(tmp_path / "none")}
        environment = os.environ | {"OPENAI_API_KEY": token}
        if named:
            (home / "gptcli").mkdir(parents=True)
            table = f'[endpoint.near]\nbase-url = "{url}"\napi-key-env = "NEAR_KEY"\n'
            (home / "gptcli" / "config.toml").write_text(table)
            environment = os.environ | {"NEAR_KEY": token, "XDG_CONFIG_HOME": str(home)}
            place = ["-m", f"near/{tiny_model.name}"]
        alone, out = tmp_path / "alone.jsonl", tmp_path / "out.jsonl"
        command = [*GPTCLI, "complete", *place, *flags]
        subprocess.run([*command, "-o", str(alone)], check=True, env=environment)
        with cluster(begun) as address:
            many = [*command, "-o", str(out), "--ray", address, "--workers", "2"]
            done = subprocess.run(many, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in alone.read_text().splitlines()]
    assert len(told) == 200 and not any(each.get("error") for each in told)
    assert out.read_bytes() == alone.read_bytes()


@contextmanager
def cluster(environment: Mapping[str, str]) -> Iterator[str]:
    """A cluster of this machine, begun by somebody else; its address."""
    port, mark = free_port(), f"ray-{os.getpid()}"
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", f"--port={port}"]
    command += ["--include-dashboard=false", "--num-cpus=2"]
    own = {"RAY_USAGE_STATS_ENABLED": "0", "GPTCLI_TEST_MARK": mark}
    subprocess.run(command, check=True, env={**environment, **own}, capture_output=True)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        # `ray stop` would end everybody's.
        while found := marked(mark):
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)
