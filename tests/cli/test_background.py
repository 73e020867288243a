"""`gptcli serve --background`, with processes as a person has them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.helpers import Done, run
from tests.faults.processes import wait_for
from tests.server.processes import serving

pytestmark = pytest.mark.slow
PROMPT = "the cat sat on"
#: What a process that is served has no use for.
HEAVY = {"torch", "numpy", "tokenizers", "safetensors", "asyncio", "openai", "httpx", "http.client"}
HEAVY |= {"pydantic", "rich", "jinja2", "ssl", "gptcli.models.acquire"}


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where sockets are; names of sockets have to be short. What runs there is ended."""
    found = Path(tempfile.mkdtemp(prefix="gptcli-"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(found))
    yield found
    run("serve", "--stop")
    shutil.rmtree(found)


@pytest.fixture
def model(chat_model: Path, tmp_path: Path) -> Path:
    """A directory that may be changed."""
    shutil.copytree(chat_model, tmp_path / "m")
    return tmp_path / "m"


@pytest.fixture
def serve(model: Path) -> Callable[..., Done]:
    return lambda *argv: run("serve", "-m", str(model), *argv)


def gptcli(*argv: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gptcli", *argv],
        capture_output=True,
        text=True,
        timeout=60,
        **more,
    )


def listed() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("serve", "--status", "--json").text)
    return found


def gone(pid: int, seconds: float = 10) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
            # Of one that is gone something may be left until its parent has looked.
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.02)
    return False


def test_a_server_is_started_used_seen_and_ended(serve, model, runtime):
    """Catches a server that holds the terminal, that nobody finds, or that never ends."""
    begun = gptcli("serve", "-m", str(model), "--background")
    assert (begun.returncode, begun.stdout) == (0, "") and "leaves after 15 min" in begun.stderr
    (one,) = listed()
    assert one["model"] == str(model) and one["leaves_after"] == 900 and one["memory"] > 1 << 20
    assert os.getsid(one["pid"]) == one["pid"]
    process = Path(f"/proc/{one['pid']}")
    streams = [str((process / "fd" / str(n)).readlink()) for n in range(3)]
    assert streams[0] == "/dev/null" and all(each.startswith("pipe:") for each in streams[1:])
    assert (process / "cwd").readlink() == Path("/")
    here = gptcli("complete", "-m", str(model), "--no-server", "--seed", "1", "-n", "9", PROMPT)
    code = (
        "import sys\nfrom gptcli.cli.boundary import main\n"
        f"argv = ['complete', '-m', {str(model)!r}, '--seed', '1', '-n', '9', {PROMPT!r}]\n"
        "assert main(argv) == 0\nprint(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == here.stdout != ""
    assert not HEAVY & {*done.stderr.split()}
    again = serve("--background")
    assert again.code == 0 and "runs already" in again.err
    assert [each["pid"] for each in listed()] == [one["pid"]]
    assert "m\t" in run("serve", "--status").text
    ended = gptcli("serve", "--stop")
    assert (ended.returncode, ended.stdout, ended.stderr) == (
        0,
        "",
        "gptcli: ended 1 server in the background\n",
    )
    assert gone(one["pid"], 1) and listed() == []
    assert not list(runtime.glob("gptcli/*.sock"))


def test_one_of_several_is_ended_by_its_model(serve, tiny_model, model):
    for argv in (["--background"], ["--background", "--dtype", "float32"]):
        assert serve(*argv).code == 0
    assert run("serve", "--background", "-m", str(tiny_model)).code == 0
    assert {each["settings"] for each in listed()} == {"", "--dtype float32"}
    assert "ended 2 servers" in serve("--stop").err
    (left,) = listed()
    assert left["model"] == str(tiny_model)
    assert "ended no server in the background" in serve("--stop").err


def test_one_that_was_killed_is_replaced(serve, model, runtime):
    """Catches a socket that is left over and in everybody's way."""
    serve("--background")
    (one,) = listed()
    os.kill(one["pid"], signal.SIGKILL)
    assert gone(one["pid"])
    assert list(runtime.glob("gptcli/*.sock"))
    done = run("complete", "-m", str(model), "--seed", "1", "-n", "3", PROMPT)
    assert (done.code, done.err) == (0, "")
    assert serve("--background").code == 0
    (other,) = listed()
    assert other["pid"] != one["pid"]
    os.kill(other["pid"], signal.SIGKILL)
    assert gone(other["pid"]) and listed() == []
    assert not list(runtime.glob("gptcli/*.sock"))


def test_two_at_once_become_one(model):
    """Catches two processes that each take the socket from the other."""
    argv = [sys.executable, "-m", "gptcli", "serve", "--background", "-m", str(model)]
    both = [subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [each.communicate(timeout=60)[1] for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    assert len(listed()) == 1


def test_one_that_nobody_asks_leaves(serve):
    serve("--background", "--idle-timeout", "0.02")
    (one,) = listed()
    assert gone(one["pid"])
    log = Path(one["log"])
    assert "leaves after 1 seconds" in log.read_text() and log.stat().st_mode & 0o077 == 0


def test_one_whose_files_are_others_leaves_and_is_replaced(serve, model):
    """Catches a server that holds memory for answers that nobody may use."""
    serve("--background")
    (one,) = listed()
    (model / "config.json").touch()
    assert serve("--background").code == 0
    (other,) = listed()
    assert other["pid"] != one["pid"] and gone(one["pid"])
    (model / "config.json").touch()
    assert gone(other["pid"])
    assert "not those that it has read" in Path(other["log"]).read_text()


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["-m", "no-such-model"], 3, "no-such-model: unknown model"),
        (["-m", "/nowhere/m"], 3, "/nowhere/m: no such file or directory"),
        (["-m", "echo"], 2, "--background: is of no use for echo"),
        (["--json"], 2, "--json: needs --status"),
        (["--status"], 2, "--background: cannot be combined with --status"),
        (["--port", "0"], 2, "--port: is about HTTP"),
        (["--calibration", "x"], 2, "--calibration: needs --dtype"),
    ],
)
def test_why_not_is_told(argv, code, words):
    """Catches a start that fails in silence, where nobody sees it."""
    done = run("serve", "--background", *argv)
    assert (done.code, done.out) == (code, b"")
    (line,) = done.err.splitlines()
    assert line.startswith(f"gptcli: error: {words}")
    assert listed() == []


def test_a_broken_model_is_told_by_the_one_who_asked(serve, model):
    (model / "model.safetensors").unlink()
    (model / "model.safetensors").write_bytes(b"\x00" * 100)
    done = serve("--background")
    assert done.code == 3 and "model.safetensors" in done.err
    assert len(done.err.splitlines()) == 1


def test_an_interrupted_start_leaves_nothing(model):
    process = subprocess.Popen(
        [sys.executable, "-m", "gptcli", "serve", "--background", "-m", str(model)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    until = time.monotonic() + 20
    while not (found := children.read_text().split()) and time.monotonic() < until:
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == -signal.SIGINT and process.stderr.read() == ""
    process.stderr.close()
    assert gone(int(found[0])) and listed() == []


@pytest.fixture
def long_answer(serve, model):
    """A process that is in the middle of a long answer by a server, and the server's number."""
    serve("--background")
    (one,) = listed()
    argv = ["complete", "-m", str(model), "--seed", "1", "-n", "100000", "--samples", "128", PROMPT]
    process = subprocess.Popen(
        [sys.executable, "-m", "gptcli", *argv, "--logit-bias", "0=-inf"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    os.kill(one["pid"], 0)
    yield process, one["pid"]
    process.kill()
    process.communicate()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_that_dies_in_an_answer_is_one_line(how, long_answer):
    process, pid = long_answer
    assert process.stdout.read(1)
    # Stopped, so that it cannot finish in the meantime.
    os.kill(pid, how)
    _, err = process.communicate(timeout=60)
    (line,) = err.decode().splitlines()
    assert process.returncode == 7
    assert re.fullmatch("gptcli: error: server: .* in the middle of an answer", line)
    assert gone(pid)


def test_ctrl_c_ends_the_work_and_not_the_server(long_answer):
    process, pid = long_answer
    assert process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (-signal.SIGINT, 0) and err == b""
    until = time.monotonic() + 10
    while (found := listed())[0]["open"] and time.monotonic() < until:
        time.sleep(0.02)
    assert [each["pid"] for each in found] == [pid] and found[0]["open"] == 0


def test_those_in_the_foreground_are_used_too(model, tmp_path, monkeypatch):
    """Catches a server that speaks HTTP alone, one that two processes think theirs, one that is
    used although a variable said no, and a second of the same model that nobody knows of.
    """
    pytest.importorskip("uvicorn")
    with serving(tmp_path / "log", model=str(model)) as found:
        assert wait_for(listed, 20)
        (one,) = listed()
        assert one["pid"] == found.process.pid and one["leaves_after"] is None
        assert one["address"] == f"{found.base}/v1"
        before = time.monotonic()
        here = run("complete", "-m", str(model), "--seed", "1", "-n", "5", "--no-server", PROMPT)
        with monkeypatch.context() as patch:
            patch.setenv("GPTCLI_NO_SERVER", "1")
            assert run("complete", "-m", str(model), "-n", "1", PROMPT).code == 0
        since = time.monotonic() - before
        assert listed()[0]["idle_seconds"] > since
        before = time.monotonic()
        assert run("complete", "-m", str(model), "--seed", "1", "-n", "5", PROMPT).out == here.out
        assert listed()[0]["idle_seconds"] < time.monotonic() - before
        assert "runs already" in run("serve", "-m", str(model), "--background").err
        # Somebody sits before it, and programs may be in the middle of something.
        kept = f"process {one['pid']} at {found.base}/v1 is in the foreground and goes on"
        assert kept in run("serve", "--stop").err and listed()[0]["pid"] == one["pid"]
        with serving(tmp_path / "b", model=str(model)) as second:
            assert wait_for(lambda: len(listed()) == 2, 20)
            both = {each["pid"]: each["address"] for each in listed()}
        assert both == {each.process.pid: f"{each.base}/v1" for each in (found, second)}
        assert [each["pid"] for each in listed()] == [found.process.pid]


def test_what_it_says_is_kept_and_never_more_than_so_much(tmp_path):
    """Catches a log that fills a disk, and one that others may read."""
    log = tmp_path / "logs" / "x.log"
    code = (
        "import os, sys, time\nfrom pathlib import Path\nfrom gptcli.server.log import Log\n"
        f"Log(Path({str(log)!r}), 1000)\n"
        "for n in range(300): os.write(1 + n % 2, b'%09d\\n' % n); time.sleep(0.001)\n"
        "time.sleep(0.3)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
    files = sorted(log.parent.iterdir())
    assert [each.name for each in files] == ["x.log", "x.old"]
    assert all(each.stat().st_size <= 1000 and not each.stat().st_mode & 0o077 for each in files)
    assert log.read_text().endswith("000000299\n")
