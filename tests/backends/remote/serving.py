"""A server of the standard library on the loopback, which says whatever a test has it say."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Said:
    """A reply. parts: of the body, each `pause` seconds after the one before.

    length: what Content-Length claims, None for none, so that the end of the connection is the
    body's.
    """

    parts: Sequence[bytes] = ()
    status: int = 200
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    pause: float = 0.0


def as_json(value: Any, status: int = 200, **more: Any) -> Said:
    data = json.dumps(value).encode()
    return Said([data], status, length=len(data), **more)


def stream(*events: Any, **more: Any) -> Said:
    """Events as SSE; a text stands as it is, bytes are no event at all."""
    parts = []
    for each in events:
        if isinstance(each, bytes):
            parts.append(each)
        else:
            text = each if isinstance(each, str) else json.dumps(each)
            parts.append(f"data: {text}\n\n".encode())
    return Said(parts, kind="text/event-stream", **more)


def choice(text: str, reason: str | None = None, index: int = 0) -> dict[str, Any]:
    return {"choices": [{"index": index, "text": text, "finish_reason": reason}]}


MODELS = as_json({"data": [{"id": "m", "owned_by": "vllm"}]})
DONE = "[DONE]"
GOOD = stream(choice("a"), choice("b", "stop"), DONE)


@dataclass
class Served:
    """A server that runs: its base URL, and what it was asked."""

    url: str
    asked: list[Asked]

    def posted(self) -> list[Any]:
        return [each.body for each in self.asked if each.method == "POST"]


@contextmanager
def serving(answer: Callable[[Asked], Said | None]) -> Iterator[Served]:
    """answer: the reply to a request, None to hang up without one."""
    asked: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            self._reply("GET")

        def do_POST(self) -> None:
            self._reply("POST")

        def _reply(self, method: str) -> None:
            size = int(self.headers.get("content-length") or 0)
            data = self.rfile.read(size)
            body = json.loads(data) if data else None
            names = {name.lower(): value for name, value in self.headers.items()}
            found = Asked(method, self.path, names, body)
            asked.append(found)
            said = answer(found)
            self.close_connection = True
            if said is None:
                return
            self.send_response(said.status)
            self.send_header("Content-Type", said.kind)
            self.send_header("Connection", "close")
            for name, value in said.headers.items():
                self.send_header(name, value)
            if said.length is not None:
                self.send_header("Content-Length", str(said.length))
            try:
                self.end_headers()
                for part in said.parts:
                    time.sleep(said.pause)
                    self.wfile.write(part)
                    self.wfile.flush()
            except OSError:
                # Whoever asked has hung up.
                pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: Any) -> None:
            pass

    server = Quiet(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield Served(f"http://127.0.0.1:{server.server_address[1]}/v1", asked)
    finally:
        server.shutdown()
        server.server_close()


def replying(said: Said, models: Said = MODELS) -> Callable[[Asked], Said]:
    """One reply to every question, and a list of models."""
    return lambda asked: models if asked.method == "GET" else said


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
