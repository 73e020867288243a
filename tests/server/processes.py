"""Servers as processes of their own, and what is asked of them over the wire."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.faults.processes import GPTCLI, wait_for


class Served:
    """A server under way: its process, its lines, and where it is."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process, self._log = process, log

    @property
    def lines(self) -> list[str]:
        return self._log.read_text().splitlines()

    @property
    def port(self) -> int:
        found = re.search(r"http://.*:(\d+)/v1;", self._log.read_text())
        return int(found[1]) if found else 0

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def metric(self, name: str) -> float:
        with self.connect() as wire:
            wire.sendall(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")
            text = b"".join(iter(lambda: wire.recv(1 << 16), b"")).decode()
        return float(re.search(rf"^{name} (\S+)$", text, re.M)[1])


@contextmanager
def serving(
    log: Path, *arguments: str, model: str = "echo", before: Sequence[str] = (), **env: str
) -> Iterator[Served]:
    """`gptcli serve` on a free port, ready; killed at last, if it has not ended."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*before, *GPTCLI, "serve", "-m", model, "--port", "0", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=file,
            env=os.environ | env,
        )
    try:
        assert wait_for(lambda: b"; Ctrl-C ends it" in log.read_bytes() or process.poll(), 120)
        assert process.poll() is None, log.read_text()
        yield Served(process, log)
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        process.wait(30)


def request(path: str, body: object) -> bytes:
    """The bytes of a POST."""
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n\r\n"
    return head.encode() + data


def until(wire: socket.socket, mark: bytes) -> bytes:
    """What comes up to a mark; all there is where the other side ends before."""
    found = b""
    while mark not in found and (more := wire.recv(1 << 16)):
        found += more
    return found


assert sys.platform != "win32"
