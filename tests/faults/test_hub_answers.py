"""Whatever a hub answers: one line and code 7, and no file outside of the cache."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gptcli import models
from gptcli.errors import NetworkError
from tests.models import test_hub
from tests.models.test_hub import SHA, Hub, hub  # noqa: F401 - a fixture
from tests.tasks import ended

FILES = [{"rfilename": n, "size": 10} for n in ("config.json", "tokenizer.json")]
FILES.append({"rfilename": "model.safetensors", "size": 10})
LISTING = {"id": "org/tiny", "sha": SHA, "siblings": FILES}


def _with(**changes: object) -> bytes:
    return json.dumps({**LISTING, **changes}).encode()


LISTINGS = {
    "deep": b"[" * 200_000,
    "list": b"[]",
    "text": b'"x"',
    "null": b"null",
    "empty": b"",
    "bytes": b"\xff\xfe",
    "sha-number": _with(sha=5),
    "sha-path": _with(sha="../../../../x"),
    "sha-list": _with(sha=[SHA]),
    "size-text": _with(siblings=[{**FILES[0], "size": "x"}, *FILES[1:]]),
    "size-negative": _with(siblings=[{**FILES[0], "size": -1}, *FILES[1:]]),
    "size-huge-float": _with(siblings=[{**FILES[0], "size": 1e400}, *FILES[1:]]),
    "siblings-text": _with(siblings="x"),
    "siblings-numbers": _with(siblings=[1, 2]),
    "siblings-nameless": _with(siblings=[{"size": 1}]),
    "siblings-object": _with(siblings={"a": 1}),
    "name-number": _with(siblings=[{"rfilename": 5, "size": 1}, *FILES]),
    "card": _with(cardData=5, config=5, tags=5, lastModified="x"),
}


@pytest.fixture
def answers(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:  # noqa: F811
    """What the hub sends instead: `listing` as bytes, `headers` with a file."""
    found: dict[str, Any] = {"listing": None, "headers": {}, "sent": 0}
    send = test_hub._Handler._send

    def other(self, status: int, data: bytes, headers: Any, body: bool, slow: bool = False) -> None:
        if "ETag" in headers:
            headers = {**headers, **found["headers"]}
            found["sent"] += 1
        elif found["listing"] is not None:
            data = found["listing"]
            found["sent"] += 1
        send(self, status, data, headers, body, slow)

    monkeypatch.setattr(test_hub._Handler, "_send", other)
    yield found


@pytest.mark.parametrize("case", LISTINGS)
def test_listings(case: str, answers: dict[str, Any]) -> None:
    """A number where a text was due was a bug of ours (1), and so was JSON that nests deep."""
    answers["listing"] = LISTINGS[case]
    with pytest.raises(NetworkError) as caught:
        ended(models.obtain("org/tiny"))
    assert answers["sent"], "the fault itself"
    assert caught.value.exit_code == 7 and "\n" not in str(caught.value)


@pytest.mark.parametrize("header", ["ETag", "X-Linked-Etag", "X-Repo-Commit", "X-Xet-Hash"])
@pytest.mark.parametrize("value", ["absolute", "upwards", "hidden"])
def test_headers_that_are_paths(
    header: str, value: str, answers: dict[str, Any], tmp_path: Path
) -> None:
    """The library joins them to directories of its cache: a server wrote where it liked."""
    place = tmp_path / "outside"
    told = {
        "absolute": f"{place}/x",
        "upwards": "../../../../outside",
        "hidden": "..",
    }[value]
    answers["headers"] = {header: f'"{told}"' if "tag" in header.lower() else told}
    place.mkdir()
    with pytest.raises(NetworkError, match=header) as caught:
        ended(models.obtain("org/tiny"))
    assert answers["sent"], "the fault itself"
    assert caught.value.exit_code == 7
    assert not list(place.iterdir())


def test_an_answer_of_the_kind_that_hubs_give(answers: dict[str, Any]) -> None:
    """A check that refuses weak tags, or a slash in one that names no file, refuses all hubs."""
    answers["headers"] = {"X-Linked-Etag": f'W/"{"a" * 64}"', "ETag": 'W/"5e2-ab/c+d="'}
    assert ended(models.obtain("org/tiny")).path.name == SHA
