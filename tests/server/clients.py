"""A server's app in this process, and what clients send to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from gptcli.backends.base import Backend
from gptcli.backends.echo import EchoBackend
from gptcli.backends.local import LocalBackend
from gptcli.backends.local.open_model import OpenModel
from gptcli.server.app import application
from gptcli.types.compute import Compute
from gptcli.types.models import ModelDir

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"


def local(directory: Path) -> LocalBackend:
    return LocalBackend(OpenModel(ModelDir("tiny", directory, "test"), Compute(device="cpu")))


@contextmanager
def client_of(backend: Backend | None = None, **more: Any) -> Iterator[TestClient]:
    """A client of an app that serves the backend as "tiny"; echo where there is none."""
    app = application(backend or EchoBackend(), "tiny", **more)
    with TestClient(app, base_url="http://localhost") as client:
        yield client


def post(client: TestClient, path: str, **body: Any) -> dict[str, Any]:
    """The answer, which must be a success."""
    response = client.post(path, json=body)
    assert response.status_code == 200, response.text
    return response.json()


def refused(client: TestClient, path: str, status: int = 400, **body: Any) -> dict[str, Any]:
    """The error, which must have OpenAI's shape."""
    response = client.post(path, json=body)
    assert response.status_code == status, response.text
    (key,) = response.json()
    assert key == "error"
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


def streamed(client: TestClient, path: str, **body: Any) -> list[dict[str, Any]]:
    """The events of a stream, which must end as OpenAI's do."""
    response = client.post(path, json=body | {"stream": True})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    lines = [line for line in response.text.split("\n") if line and not line.startswith(":")]
    assert all(line.startswith("data: ") for line in lines)
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def say(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]
