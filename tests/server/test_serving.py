"""`gptcli serve` as a process: who leaves, who does not read, signals, and where it listens."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import subprocess
from pathlib import Path

import pytest
from starlette.requests import Request

from gptcli.server import body
from gptcli.server.problems import ProblemError
from tests.cli.helpers import run
from tests.conftest import CHAT_TEMPLATE, with_context
from tests.faults.processes import GPTCLI, wait_for
from tests.server.processes import Served, request, serving, until

LONG = {"prompt": "on and", "max_tokens": 10**8, "stream": True, "logit_bias": {"0": -100}}


@pytest.fixture(scope="module")
def long_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model that goes on for minutes."""
    directory = tmp_path_factory.mktemp("long") / "m"
    return str(with_context(tiny_model, directory, 1 << 17, CHAT_TEMPLATE))


def test_a_client_that_leaves_makes_room(tmp_path, long_model):
    """Catches work for nobody: with a stream, and without one, where nothing is sent to notice."""
    with serving(tmp_path / "log", "--queue", "2", model=long_model) as server:
        for stream in (True, False):
            with server.connect() as wire:
                wire.sendall(request("/v1/completions", LONG | {"stream": stream}))
                if stream:
                    assert b"data: " in until(wire, b"data: ")
                assert wait_for(lambda: server.metric("gptcli_open_questions") == 1)
            assert wait_for(lambda: server.metric("gptcli_open_questions") == 0, 5)
        assert wait_for(lambda: len([line for line in server.lines if "completions" in line]) == 2)


def connects(server: Served) -> bool:
    try:
        server.connect().close()
    except OSError:
        return False
    return True


def test_a_client_that_does_not_read_holds_nobody_up(tmp_path):
    """Catches memory that grows for somebody who does not read, and others who wait for them."""
    with serving(tmp_path / "log") as server, server.connect() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.sendall(request("/v1/completions", LONG))
        assert wait_for(lambda: server.metric("gptcli_open_questions") == 0, 60)
        with server.connect() as quick:
            quick.sendall(request("/v1/completions", {"prompt": "a", "max_tokens": 2}))
            assert b'" a a"' in until(quick, b"usage")


def test_a_signal_lets_streams_end(tmp_path, long_model):
    """Catches answers that are cut off, new ones that are begun, and a server that stays."""
    with serving(tmp_path / "log", model=long_model) as server, server.connect() as wire:
        wire.sendall(request("/v1/completions", LONG | {"max_tokens": 1000}))
        assert b"200 OK" in until(wire, b"data: ")
        server.process.send_signal(signal.SIGTERM)
        assert wait_for(lambda: not connects(server))
        assert b'"finish_reason": "length"' in until(wire, b"data: [DONE]")
        assert server.process.wait(30) == -signal.SIGTERM


def test_a_second_signal_ends_it_at_once(tmp_path, long_model):
    """Catches a server that nobody can stop while somebody listens, and a traceback of it."""
    with serving(tmp_path / "log", model=long_model) as server, server.connect() as wire:
        wire.sendall(request("/v1/completions", LONG))
        until(wire, b"data: ")
        server.process.send_signal(signal.SIGINT)
        assert wait_for(lambda: not connects(server))
        assert server.process.poll() is None
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(10) == -signal.SIGINT
        assert not [line for line in server.lines if "Traceback" in line or "Exception" in line]


def test_a_socket_is_its_owners_and_removed(tmp_path):
    """Catches a socket that others can open, and one that stays behind or stands in the way."""
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with serving(tmp_path / "log", "--socket", str(path)) as server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with socket.socket(socket.AF_UNIX) as wire:
            wire.connect(str(path))
            wire.sendall(b"GET /v1/models HTTP/1.1\r\nHost: whatever\r\n\r\n")
            assert b"200 OK" in until(wire, b"echo")
        done = run("serve", "-m", "echo", "--socket", str(path))
        assert (done.code, "listens there already" in done.err) == (2, True)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == -signal.SIGTERM
    assert not path.exists()
    path.write_text("mine")
    done = run("serve", "-m", "echo", "--socket", str(path))
    assert (done.code, path.read_text()) == (2, "mine")


def test_a_port_that_is_taken_is_one_line(tmp_path):
    """Catches a traceback, or a server that ends as if all were well."""
    with serving(tmp_path / "log") as server:
        done = run("serve", "-m", "echo", "--port", str(server.port))
        assert done.code == 6
        assert done.err.startswith(f"gptcli: error: 127.0.0.1:{server.port}: ")
        assert done.err.count("\n") == 1


def test_other_addresses_need_a_token(tmp_path):
    """Catches a model that is open to a whole network, and a token that is none."""
    done = run("serve", "-m", "echo", "--host", "0.0.0.0", "--port", "0")
    assert done.code == 2
    assert "--token-file or GPTCLI_SERVE_TOKEN" in done.err
    file = tmp_path / "token"
    for bad in ("", "short", "two words of which none is a token", "ümlaut" * 5):
        file.write_text(bad)
        done = run("serve", "-m", "echo", "--token-file", str(file), "--port", "0")
        assert (done.code, bad in done.err and bool(bad)) == (4, False)
    assert run("serve", "-m", "echo", "--token-file", str(tmp_path / "none")).code == 4
    assert run("serve", "-m", "echo", "--host", "no such host").code == 2
    token = "0123456789abcdef"
    with serving(tmp_path / "log", "--host", "0.0.0.0", GPTCLI_SERVE_TOKEN=token) as server:
        with server.connect() as wire:
            wire.sendall(b"GET /v1/models HTTP/1.1\r\nHost: my.example\r\n\r\n")
            assert b"401 " in until(wire, b"}}")
        with server.connect() as wire:
            line = f"Authorization: Bearer {token}\r\n"
            wire.sendall(f"GET /v1/models HTTP/1.1\r\nHost: my.example\r\n{line}\r\n".encode())
            assert b"200 OK" in until(wire, b"gptcli")
        assert token not in "".join(server.lines)


def test_a_body_that_never_comes_is_given_up():
    """Catches a connection that is held open for ever by half a request."""

    async def never() -> dict:
        await asyncio.sleep(60)
        return {}

    half = Request({"type": "http", "method": "POST", "headers": []}, never)
    with pytest.raises(ProblemError) as raised:
        asyncio.run(body.read(half, patience=0.05))
    assert raised.value.status == 408


def test_without_the_extra_it_is_one_line(tmp_path):
    """Catches a traceback where the libraries are not installed."""
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError('No module named uvicorn')")
    done = subprocess.run(
        [*GPTCLI, "serve", "-m", "echo"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("gptcli: error: serve: needs pip install 'gptcli[serve]'")
    assert done.stderr.count("\n") == 1
