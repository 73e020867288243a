"""Connections that ask nothing, for ever, without end, or in great number."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from gptcli.backends.echo import EchoBackend
from gptcli.server import connections
from gptcli.server.app import application
from gptcli.server.running import Running

HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"


@contextmanager
def serving() -> Iterator[int]:
    """A server in a thread of this process; its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    running = Running(application(EchoBackend(), "echo"), lambda _: None)
    work = asyncio.new_event_loop()
    thread = threading.Thread(target=work.run_until_complete, args=(running._serve([listener]),))
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        running.should_exit = True
        thread.join()
        work.close()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving() as found:
        yield found


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def told(wire: socket.socket) -> bytes:
    """All that comes until the other side hangs up, in whichever way."""
    found = b""
    try:
        while more := wire.recv(1 << 16):
            found += more
    except ConnectionError:
        pass
    return found


def pour(wire: socket.socket, piece: bytes) -> int:
    """How much of the same goes before the other side hangs up; at most 64 MB."""
    sent = 0
    try:
        while sent < 64 << 20:
            wire.sendall(piece)
            sent += len(piece)
    except ConnectionError:
        pass
    return sent


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (HEALTH + b"X: ", b"a" * 65536),
        (HEALTH, b"X: a\r\n" * 10000),
        (b"GET /", b"a" * 65536),
        (b"", b"\r\n" * 30000),
        (CHUNKED + b"1\r\n{\r\n0\r\n", b"a: b\r\n" * 10000),
        (CHUNKED + b"1;", b"a" * 65536),
    ],
    ids=["header", "headers", "path", "lines", "trailers", "extension"],
)
def test_a_head_has_an_end(port, begin, piece):
    """Catches memory that grows for as long as somebody sends what is no request yet."""
    with connect(port) as wire:
        wire.sendall(begin)
        assert pour(wire, piece) < 32 << 20


def test_a_large_head_that_comes_in_pieces_is_read(port):
    """Catches a bound that cookies of an ordinary browser reach."""
    with connect(port) as wire:
        wire.sendall(HEALTH + b"Cookie: ")
        for _ in range(30):
            wire.sendall(b"a" * 1000)
        wire.sendall(b"\r\nConnection: close\r\n\r\n")
        assert b"200 OK" in told(wire)


def test_who_asks_nothing_is_not_waited_for(port, monkeypatch):
    """Catches half a head, or none, that holds a connection for ever, also after an answer."""
    monkeypatch.setattr(connections, "PATIENCE", 0.2)
    with connect(port) as wire:
        assert told(wire) == b""
    with connect(port) as wire:
        wire.sendall(HEALTH)
        assert b"408 " in told(wire)
    with connect(port) as wire:
        wire.sendall(HEALTH + b"\r\n")
        assert b"200 OK" in wire.recv(1 << 12)
        wire.sendall(HEALTH)
        assert b"408 " in told(wire)


def test_a_body_may_take_longer_than_a_head(port, monkeypatch):
    """Catches an answer that is cut off, since its connection was once waited for."""
    monkeypatch.setattr(connections, "PATIENCE", 0.2)
    data = b'{"prompt": "a", "max_tokens": 2}'
    head = f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}"
    with connect(port) as wire:
        wire.sendall(head.encode() + b"\r\nConnection: close\r\n\r\n" + data[:5])
        time.sleep(0.4)
        wire.sendall(data[5:])
        assert b'" a a"' in told(wire)


def test_idle_connections_keep_nobody_out(port, monkeypatch):
    """Catches a server that answers nobody while somebody holds what the system can open."""
    monkeypatch.setattr(connections, "MOST", 4)
    with ExitStack() as stack:
        idle = [stack.enter_context(connect(port)) for _ in range(12)]
        asking = stack.enter_context(connect(port))
        # Those that came first went first.
        assert told(idle[0]) == b""
        asking.sendall(HEALTH + b"Connection: close\r\n\r\n")
        assert b"200 OK" in told(asking)


def test_where_all_are_being_answered_the_next_is_told(port, monkeypatch):
    """Catches an answer that is broken off for somebody who came later."""
    monkeypatch.setattr(connections, "MOST", 1)
    with connect(port) as first:
        first.sendall(CHUNKED)
        time.sleep(0.1)
        with connect(port) as second:
            assert b"503 " in (said := told(second))
            assert b"retry-after: 2" in said.lower()
        first.sendall(b"2\r\n{}\r\n0\r\n\r\n")
        assert first.recv(1 << 12).startswith(b"HTTP/1.1 400 ")
