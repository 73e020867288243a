"""Clients of a server, side by side: how many tokens a second they get together."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence

from tests.bench.peers.cases import BATCH, BATCH_NEW, MeasureError

#: Seconds until a server has to be ready, and for all its answers.
_READY, _PATIENCE = 120.0, 600.0
#: Tokens that would end a text before all are drawn: those of the default model.
ENDS = (0, 2)


def prompts_of(count: int) -> list[str]:
    """Prompts of about as many tokens each, none the beginning of another."""
    return [
        f"{number} reasons why a cat of that age sleeps so much are these:"
        for number in range(count)
    ]


#: One for each client.
PROMPTS = prompts_of(BATCH)


def rate(command: Sequence[str], environment: Mapping[str, str] | None = None) -> float:
    """New tokens per second of all clients of a server, which `command` and a port start.

    A round that is not counted has the server read what it maps. Raises MeasureError.
    """
    port = _free_port()
    with tempfile.TemporaryFile() as errors:
        server = subprocess.Popen(
            [*command, "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env={**os.environ, **(environment or {})},
        )
        try:
            _wait(server, port)
            _round(port, 8)
            return _round(port, BATCH_NEW)
        finally:
            server.kill()
            server.wait()


def _round(port: int, tokens: int) -> float:
    drawn: list[int] = []
    threads = [
        threading.Thread(target=lambda prompt=prompt: drawn.append(_ask(port, prompt, tokens)))
        for prompt in PROMPTS
    ]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    if drawn != [tokens] * len(PROMPTS):
        raise MeasureError(f"the server drew {drawn} tokens, not {tokens} for each client")
    return sum(drawn) / seconds


def _ask(port: int, prompt: str, tokens: int) -> int:
    """How many tokens a stream says it has, 0 where it fails."""
    body = {
        "prompt": prompt,
        "max_tokens": tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
        "logit_bias": {str(end): -100 for end in ENDS},
    }
    wire = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
    try:
        head = {"Content-Type": "application/json"}
        wire.request("POST", "/v1/completions", json.dumps(body), head)
        response = wire.getresponse()
        # Clients cost the server time where they read every event: these read what there is.
        lines = b"".join(iter(lambda: response.read1(1 << 20), b"")).splitlines()
        events = [line for line in lines if line.startswith(b"data: {")]
        return int(json.loads(events[-1].removeprefix(b"data: "))["usage"]["completion_tokens"])
    except (OSError, ValueError, KeyError, IndexError, http.client.HTTPException):
        return 0
    finally:
        wire.close()


def _wait(server: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + _READY
    while time.monotonic() < end and server.poll() is None:
        wire = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            wire.request("GET", "/health")
            if wire.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            wire.close()
        time.sleep(0.1)
    raise MeasureError(f"{server.args!r:.60} was not ready")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
