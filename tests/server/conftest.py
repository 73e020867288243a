"""A server's app over a tiny model, and over the echo, for the tests of a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from gptcli.backends.local import LocalBackend
from tests.server.clients import client_of, local


@pytest.fixture(scope="module")
def backend(tiny_model: Path) -> LocalBackend:
    """What answers; a file may have another."""
    return local(tiny_model)


@pytest.fixture(scope="module")
def tiny(backend: LocalBackend) -> Iterator[TestClient]:
    """A client of the app over it."""
    with client_of(backend) as client:
        yield client


@pytest.fixture(scope="module")
def echo() -> Iterator[TestClient]:
    """A client of the app over the echo."""
    with client_of() as client:
        yield client
