"""A child of ours imports nothing that lies about, and does not outlive its parent."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from gptcli import children
from tests.faults.processes import GPTCLI, marked, runs, wait_for

_PLANTED = ("json", "runpy", "threading", "time", "os", "pathlib", "gptcli", "sitecustomize")


def test_what_is_planted_in_the_working_directory_is_not_imported(tmp_path: Path) -> None:
    """`python -c` looks there first: a json.py beside a downloaded model would be run."""
    for name in _PLANTED:
        (tmp_path / f"{name}.py").write_text("open('planted', 'w').close()\nraise SystemExit(9)\n")
    # The fault itself: a child started as one would start it without a thought.
    plain = subprocess.run([sys.executable, "-c", "import json"], cwd=tmp_path)
    assert plain.returncode == 9 and (tmp_path / "planted").exists()
    (tmp_path / "planted").unlink()
    done = subprocess.run(
        children.command("platform"), cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() and not (tmp_path / "planted").exists()


def test_the_working_directory_is_no_place_for_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`python -m gptcli` has it first, as an absolute path; so may PYTHONPATH, as an empty one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), "", ".", str(tmp_path / "link"), *sys.path])
    found = children.search_path()
    assert found and all(os.path.realpath(each) != os.path.realpath(tmp_path) for each in found)


@pytest.mark.slow
def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """A template that loops would go on for minutes after a kill -9."""
    (tmp_path / "endless.py").write_text("import time\nprint('here', flush=True)\ntime.sleep(99)\n")
    code = f"""
        import subprocess, sys
        sys.path.append({str(tmp_path)!r})
        from gptcli import children
        child = subprocess.Popen(children.command("endless"), stdout=subprocess.PIPE)
        child.stdout.readline()
        print(child.pid, flush=True)
        sys.stdin.read()
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert parent.stdout is not None and parent.stdin is not None
    child = int(parent.stdout.readline())
    os.kill(child, 0)
    parent.kill()
    parent.communicate()
    ended = wait_for(lambda: not runs(child), 20)
    if not ended:
        os.kill(child, signal.SIGKILL)
    assert ended


def gone_with_their_parent(
    argv: list[str], mark: str, ready: Callable[[], object], **env: str
) -> bool:
    """Whether all processes end of a program that is killed when it is ready for that."""
    parent = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"GPTCLI_TEST_MARK": mark} | env,
    )
    try:
        assert wait_for(ready), "the fault itself: they run"
        parent.kill()
        parent.wait()
        assert marked(mark), "the fault itself: they outlive it for a moment"
        return wait_for(lambda: not marked(mark), 10)
    finally:
        for pid in marked(mark):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
def test_a_program_that_is_measured_ends_with_its_bench(own_home: Path) -> None:
    """Both the launcher and what it has started: they would have gone on measuring for nobody."""
    code = """
        import sys
        from gptcli.evaluation import bench_process
        bench_process._launch([sys.executable, "-c", "import time; time.sleep(60)"])
    """
    argv = [sys.executable, "-c", textwrap.dedent(code)]
    mark = f"bench-{own_home}"
    assert gone_with_their_parent(argv, mark, lambda: len(marked(mark)) == 3)


@pytest.mark.slow
def test_pip_ends_with_us(own_home: Path) -> None:
    """It would have gone on fetching a model for nobody."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        # It takes the request and never answers.
        index = f"http://127.0.0.1:{server.getsockname()[1]}/simple"
        server.settimeout(30)
        nothing = dict.fromkeys(("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_CONSTRAINT"), "")
        env = {"PIP_INDEX_URL": index, "PIP_NO_INDEX": "0", "PIP_CONFIG_FILE": os.devnull}
        argv = [*GPTCLI, "complete", "a"]
        taken: list[socket.socket] = []

        def asked() -> bool:
            taken.append(server.accept()[0])
            return True

        assert gone_with_their_parent(argv, f"pip-{own_home}", asked, **nothing, **env)
        taken[0].close()


@pytest.mark.slow
def test_pip_is_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """-I -S hides the environment that pip is installed in, and with it the user's settings."""
    monkeypatch.chdir(tmp_path)
    plain = [sys.executable, "-P", "-m", "pip", "config", "debug"]
    ours = children.command("pip", "config", "debug", site=True)
    hidden = children.command("pip", "config", "debug")
    said = [
        subprocess.run(each, capture_output=True, text=True).stdout
        for each in (plain, ours, hidden)
    ]
    assert said[0] == said[1] and "site:" in said[0]
    assert sys.prefix == sys.base_prefix or said[2] != said[0]
