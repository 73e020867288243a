from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import pytest
from safetensors.numpy import save

from gptcli import models
from gptcli.errors import ModelError, NetworkError, ResourceError
from gptcli.models import disk
from tests.opening import facts_of

SHA = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = save({"a": np.arange(6, dtype=np.float32)})
CONFIG = json.dumps({"model_type": "gpt2", "n_layer": 1, "n_head": 1}).encode()
SMALL = {
    "config.json": CONFIG,
    "tokenizer.json": b"{}",
    "README.md": b"---\nlanguage: en\nlicense: mit\n---\n# Model\n",
}
INDEX = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
INDEX["weight_map"]["b"] = "model-00002-of-00002.safetensors"
SHARDED = {
    "model.safetensors.index.json": json.dumps(INDEX).encode(),
    "model-00001-of-00002.safetensors": save({"a": np.zeros(3, np.float32)}),
    "model-00002-of-00002.safetensors": save({"b": np.ones(2, np.float32)}),
}
UNWANTED = {
    "pytorch_model.bin": b"pickle",
    "onnx/model.onnx": b"onnx",
    "model.onnx": b"onnx",
    "training_args.bin": b"pickle",
    "tf_model.h5": b"h5",
}
REPOS = {
    "org/tiny": SMALL | UNWANTED | {"model.safetensors": WEIGHTS},
    "org/sharded": SMALL | SHARDED,
    "org/both": SMALL | SHARDED | {"model.safetensors": WEIGHTS},
    "org/pickled": SMALL | UNWANTED,
    "org/gated": SMALL | {"model.safetensors": WEIGHTS},
    "org/bare": {"README.md": b"x"},
    "org/mute": {"config.json": CONFIG, "model.safetensors": WEIGHTS},
    "org/lost": SMALL | {"model.safetensors.index.json": SHARDED["model.safetensors.index.json"]},
    "org/outside": SMALL
    | {"model.safetensors.index.json": b'{"weight_map": {"a": "../../x.safetensors"}}'},
    "org/slow": SMALL | {"model.safetensors": WEIGHTS},
    "org/pieces": {
        "config.json": CONFIG,
        "tokenizer.model": b"pieces",
        "tokenizer_config.json": b"{}",
        "added_tokens.json": b"{\n}",
        "hf_quant_config.json": b"{ }",
        "vocab.json": b"{}",
        "model.safetensors": WEIGHTS,
    },
    "org/merges": {
        "config.json": CONFIG,
        "vocab.json": b"{}",
        "merges.txt": b"a b",
        "special_tokens_map.json": b"{\n\n}",
        "model.safetensors": WEIGHTS,
    },
    "org/half": {"config.json": CONFIG, "vocab.json": b"{}", "model.safetensors": WEIGHTS},
    "openai-community/gpt2": SMALL | {"model.safetensors": WEIGHTS},
}


LARGE = (".safetensors", ".gguf")


def _sibling(name: str, data: bytes) -> dict[str, object]:
    if not name.endswith(LARGE):
        return {"rfilename": name, "size": len(data)}
    lfs = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "pointerSize": 134}
    return {"rfilename": name, "size": len(data), "lfs": lfs}


class Hub(ThreadingHTTPServer):
    """The few answers of a hub that a download and a search need.

    asked: the files that were fetched; begins: where in them; repos and commit may be changed, as
    authors do; more: what is told of a repository beside its files; first: bytes of what is slow
    that come before it is waited for `go`; elsewhere: a server to which large files are sent on;
    tokens: what was sent with questions for them.
    """

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that was killed is no fault of the server's."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.begins: list[int] = []
        self.repos: dict[str, dict[str, bytes]] = dict(REPOS)
        self.commit = SHA
        self.more: dict[str, dict[str, object]] = {}
        self.first = 8
        self.elsewhere = ""
        self.tokens: list[str | None] = []
        self.queries: list[dict[str, list[str]]] = []
        self.go = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(False)

    def do_GET(self) -> None:
        self._answer(True)

    def _answer(self, body: bool) -> None:
        parts = self.path.partition("?")[0].strip("/").split("/")
        hub = self.server
        if parts == ["api", "models"]:
            query = parse_qs(self.path.partition("?")[2])
            hub.queries.append(query)
            words = query["search"][0].lower().split()
            found = [repo for repo in hub.repos if all(word in repo.lower() for word in words)]
            answers = [{"id": repo, **hub.more.get(repo, {})} for repo in found]
            answers = answers[: int(query["limit"][0])]
            return self._send(200, json.dumps(answers).encode(), {}, body)
        if parts[:2] == ["api", "models"]:
            repo, revision = "/".join(parts[2:4]), parts[5]
            files = hub.repos.get(repo)
            if files is None:
                return self._send(404, b"", {"X-Error-Code": "RepoNotFound"}, body)
            if revision not in ("main", "v1", hub.commit):
                return self._send(404, b"", {"X-Error-Code": "RevisionNotFound"}, body)
            siblings = [_sibling(name, data) for name, data in files.items()]
            answer = {"id": repo, "sha": hub.commit, "siblings": siblings}
            answer |= hub.more.get(repo, {})
            return self._send(200, json.dumps(answer).encode(), {}, body)
        if parts[:1] == ["cdn"]:
            hub.tokens.append(self.headers.get("Authorization"))
            return self._send(200, hub.repos["/".join(parts[1:3])]["/".join(parts[3:])], {}, body)
        if "resolve" not in parts:
            return self._send(404, b"", {}, body)
        repo, name = "/".join(parts[:2]), "/".join(parts[4:])
        if repo == "org/gated":
            return self._send(403, b"", {"X-Error-Code": "GatedRepo"}, body)
        data = hub.repos[repo][name]
        begin = int(self.headers.get("Range", "bytes=0-")[len("bytes=") : -1])
        if body:
            hub.asked.append(name)
            hub.begins.append(begin)
        blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        large = name.endswith(LARGE)
        etag = hashlib.sha256(data).hexdigest() if large else blob
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": hub.commit}
        if hub.elsewhere and large:
            hub.tokens.append(self.headers.get("Authorization"))
            headers |= {"X-Linked-Etag": headers.pop("ETag"), "X-Linked-Size": str(len(data))}
            headers["Location"] = f"{hub.elsewhere}/cdn/{repo}/{name}"
            return self._send(302, b"", headers, body)
        if begin:
            headers["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        slow = repo == "org/slow" and large
        return self._send(206 if begin else 200, data[begin:], headers, body, slow)

    def _send(
        self, status: int, data: bytes, headers: dict[str, str], body: bool, slow: bool = False
    ) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if body and slow:
            self.wfile.write(data[: self.server.first])
            self.wfile.flush()
            self.server.go.wait(20)
            data = data[self.server.first :]
        if body:
            self.wfile.write(data)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    import huggingface_hub
    from huggingface_hub import constants

    server = Hub()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    yield server
    server.go.set()
    server.shutdown()
    server.server_close()
    huggingface_hub.close_session()


def test_only_what_is_needed_is_fetched_once(hub: Hub, drain, capfd) -> None:
    """Gigabytes of pickles and ONNX fetched along; a second fetch of what is here."""
    found = drain(models.obtain("org/tiny"))
    assert set(hub.asked) == {*SMALL, "model.safetensors"}
    assert hub.asked[-1] == "model.safetensors"
    assert {path.name for path in found.path.iterdir()} == {*SMALL, "model.safetensors"}
    assert (found.path / "model.safetensors").read_bytes() == WEIGHTS
    hub.asked.clear()
    hub.shutdown()
    assert drain(models.obtain("org/tiny")) == found == models.find("org/tiny")
    assert not hub.asked
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["gpt2", "org/tiny@v1", f"org/tiny@{SHA}"])
def test_aliases_and_revisions(hub: Hub, drain, name: str) -> None:
    """A revision that is fetched, but not found again without a network."""
    found = drain(models.obtain(name))
    assert found.name == name and found.path.name == SHA and not found.managed
    assert models.find(name) == found


def test_shards_come_with_their_index(hub: Hub, drain) -> None:
    """An index without its shards taken for a model."""
    found = drain(models.obtain("org/sharded"))
    assert set(hub.asked) == {*SMALL, *SHARDED}
    assert facts_of(found).parameters == 5
    (found.path / "model-00002-of-00002.safetensors").unlink()
    assert models.find("org/sharded") is None


def test_one_file_is_preferred_to_shards(hub: Hub, drain) -> None:
    """The same weights fetched twice."""
    drain(models.obtain("org/both"))
    assert set(hub.asked) == {*SMALL, "model.safetensors"}


@pytest.mark.parametrize(
    ("name", "unwanted"), [("org/pieces", {"vocab.json"}), ("org/merges", set())]
)
def test_what_a_tokenizer_is_made_of_is_fetched(hub: Hub, drain, name: str, unwanted) -> None:
    """Catches a repository without tokenizer.json refused, or fetched without what replaces it."""
    found = drain(models.obtain(name))
    assert set(hub.asked) == REPOS[name].keys() - unwanted
    assert models.find(name) == found
    # These are no safetensors of a model, but nothing is missing.
    verdict = drain(models.verify(found))
    assert not [check for check in verdict.checks if check.problem == "is missing"]


REFUSED = {
    "org/half": (ModelError, "tokenizer.json"),
    "org/pickled": (ModelError, "pickled"),
    "org/unknown": (ModelError, "is not on the hub, or is private"),
    "org/tiny@v9": (ModelError, "has no revision 'v9'"),
    "org/gated": (NetworkError, "licence"),
    "org/bare": (ModelError, "config.json"),
    "org/mute": (ModelError, "tokenizer.json"),
    "org/lost": (ModelError, "lacks model-00001"),
    "org/outside": (ModelError, "not a file beside it"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_had_is_said_in_one_line(hub: Hub, drain, name: str) -> None:
    """A library's page-long message, or weights fetched before the refusal."""
    kind, reason = REFUSED[name]
    with pytest.raises(kind, match=reason) as caught:
        drain(models.obtain(name))
    assert "\n" not in str(caught.value)
    assert not any(asked.endswith((".bin", ".safetensors")) for asked in hub.asked)


def test_unreachable_hub(hub: Hub, drain) -> None:
    """A minute of retries, or a traceback, where nobody listens."""
    hub.shutdown()
    hub.server_close()
    start = time.monotonic()
    with pytest.raises(NetworkError, match="cannot be reached") as caught:
        drain(models.obtain("org/tiny"))
    assert time.monotonic() - start < 10
    assert "smollm2" in str(caught.value) and caught.value.exit_code == 7


def test_offline(hub: Hub, drain, monkeypatch: pytest.MonkeyPatch) -> None:
    """HF_HUB_OFFLINE not obeyed, or not named in the message."""
    import huggingface_hub
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    huggingface_hub.close_session()
    with pytest.raises(NetworkError, match="HF_HUB_OFFLINE"):
        drain(models.obtain("org/tiny"))
    assert not hub.asked


def test_no_space(hub: Hub, drain, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up before anybody asked how large the model is."""
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ResourceError, match="free disk space"):
        drain(models.obtain("org/tiny"))
    assert not hub.asked


def test_progress_counts_up_to_the_total(hub: Hub) -> None:
    """Progress that goes back, or ends elsewhere than at its total."""
    steps = [step for step in models.obtain("org/tiny") if step.total]
    done = [step.done for step in steps]
    assert done == sorted(done) and steps[-1].done == steps[-1].total
    assert steps[-1].total == len(WEIGHTS) + sum(map(len, SMALL.values()))


def test_closing_ends_the_download(hub: Hub) -> None:
    """A download that goes on after Ctrl-C, or half a file that stays in the cache for good."""
    steps = models.obtain("org/slow")
    for step in steps:
        if step.total and hub.asked[-1:] == ["model.safetensors"]:
            break
    hub.go.set()
    steps.close()
    assert not _left()


def _left() -> list[Path]:
    return list(Path(os.environ["HF_HOME"]).rglob("*.incomplete"))


def test_environment_of_the_library_is_honoured(hub: Hub, tmp_path: Path) -> None:
    """HF_ENDPOINT or HF_HUB_CACHE read by us otherwise than by the library; bars on stderr."""
    code = (
        "from gptcli import models\n"
        "steps = models.obtain('org/tiny')\n"
        "try:\n"
        "    while True: next(steps)\n"
        "except StopIteration as end: print(end.value.path)\n"
    )
    env = os.environ | {"HF_ENDPOINT": hub.url, "HF_HUB_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and done.stderr == ""
    assert Path(done.stdout.strip()).is_relative_to(tmp_path / "cache")


def test_snapshots_are_verified_by_their_blobs_names(hub: Hub, drain) -> None:
    """A flipped byte in the cache that nobody notices, in a large file or a small one."""
    found = drain(models.obtain("org/tiny"))
    verdict = drain(models.verify(found))
    assert verdict.ok, verdict
    assert sum("blob's name" in check.how for check in verdict.checks) == 4
    for name in ("model.safetensors", "README.md"):
        blob = (found.path / name).resolve()
        data = bytearray(blob.read_bytes())
        data[-1] ^= 1
        blob.write_bytes(data)
    broken = {check.file for check in drain(models.verify(found)).checks if check.problem}
    assert broken == {"model.safetensors", "README.md"}


def test_listed_described_and_removed(hub: Hub, drain) -> None:
    """A snapshot in the cache that is not listed, or whose blobs stay when it is removed."""
    found = drain(models.obtain("org/tiny"))
    assert "org/tiny" in models.known_names()
    entry = next(entry for entry in models.listing() if entry.name == "org/tiny")
    assert entry.installed and entry.path == found.path and entry.size > len(WEIGHTS)
    facts = facts_of(found)
    assert (facts.licence, facts.parameters, facts.layers, facts.kv_heads) == ("mit", 6, 1, 1)
    gone = models.remove("org/tiny")
    assert gone.freed > len(WEIGHTS)
    assert models.find("org/tiny") is None and "org/tiny" not in models.known_names()
    assert not [path for path in Path(os.environ["HF_HOME"]).rglob("blobs/*") if path.is_file()]
    with pytest.raises(ModelError, match="not on this disk"):
        models.remove("org/tiny")
