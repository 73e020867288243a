"""A child of ours imports nothing that lies about, and does not outlive its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from gptcli import children

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
    until = time.monotonic() + 20
    while time.monotonic() < until and _runs(child):
        time.sleep(0.05)
    ended = not _runs(child)
    if not ended:
        os.kill(child, signal.SIGKILL)
    assert ended


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
