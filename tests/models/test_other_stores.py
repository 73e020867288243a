"""Models that other tools keep: found by name, listed, run from where they are."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from gptcli import models
from gptcli.errors import ModelError, UsageError
from gptcli.models.other_stores import BY_PREFIX, ollama
from gptcli.types.events import Notice
from tests.tasks import ended, told

MODEL = "application/vnd.ollama.image.model"


@pytest.fixture(autouse=True)
def no_shared_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ollama, "_SHARED", ())


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, write_llama) -> bytes:
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_llama(path)
    return path.read_bytes()


def store(root: Path, tag: str, data: bytes | None, *more: dict[str, str], **manifest) -> Path:
    """What `ollama pull` leaves; data: None for a blob that is not there."""
    digest = hashlib.sha256(data or b"gone").hexdigest()
    layer = {"mediaType": MODEL, "digest": f"sha256:{digest}", "size": len(data or b"")}
    path = root / "manifests" / "registry.ollama.ai" / "library" / tag
    path.parent.mkdir(parents=True, exist_ok=True)
    said = {"schemaVersion": 2, "layers": [layer, *more]} | manifest
    path.write_text(json.dumps(said))
    blob = root / "blobs" / f"sha256-{digest}"
    blob.parent.mkdir(exist_ok=True)
    if data is not None:
        blob.write_bytes(data)
    return blob


@pytest.mark.parametrize("name", ["llama3.2:1b", "library/llama3.2:1b"])
def test_ollamas_models_run(own_home: Path, tiny: bytes, name: str) -> None:
    """A blob copied first, or not known since its name has no suffix."""
    blob = store(own_home / ".ollama" / "models", "llama3.2/1b", tiny)
    found = ended(models.obtain(f"ollama:{name}"))
    assert (found.path / "config.json").is_file()
    assert models.find(f"ollama:{name}") == found
    assert sorted(blob.parent.iterdir()) == [blob]


def test_ollamas_names(own_home: Path, tiny: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """`latest` not understood, or another registry's models, or OLLAMA_MODELS."""
    root = own_home / "elsewhere"
    monkeypatch.setenv("OLLAMA_MODELS", str(root))
    store(root, "gemma/latest", tiny)
    other = root / "manifests" / "hf.co" / "org" / "some-GGUF" / "Q4_K_M"
    other.parent.mkdir(parents=True)
    other.write_bytes((root / "manifests/registry.ollama.ai/library/gemma/latest").read_bytes())
    mine = root / "manifests" / "registry.ollama.ai" / "me" / "mine" / "v1"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(other.read_bytes())
    names = [each.name for each in BY_PREFIX["ollama"].listing()]
    assert names == ["hf.co/org/some-GGUF:Q4_K_M", "gemma:latest", "me/mine:v1"]
    for name in ("gemma", *names):
        path, _ = BY_PREFIX["ollama"].find(name)
        assert path.read_bytes() == tiny
    listed = {each.name: each for each in models.listing(everywhere=True)}
    entry = listed["ollama:gemma:latest"]
    assert entry.installed and entry.size == len(tiny) and entry.path == path
    assert "ollama:gemma:latest" not in {each.name for each in models.listing()}


BAD_NAMES = ["", ":", "a/b/c/d:e", "../x", "x:../../etc", "a//b", ".x", "x:", "x\0y", "a" * 999]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_are_none_of_ollamas(own_home: Path, name: str) -> None:
    """A name that is a path out of the store."""
    with pytest.raises(ModelError) as caught:
        models.find(f"ollama:{name}")
    assert caught.value.exit_code == 3 and "\n" not in str(caught.value)


def bad(own_home: Path, tiny: bytes, case: str) -> None:
    root = own_home / ".ollama" / "models"
    layer = {"mediaType": MODEL, "digest": "sha256:" + "0" * 64}
    if case == "dangling":
        store(root, "x/latest", None)
    elif case == "outside":
        (own_home / "x.gguf").write_bytes(tiny)
        layer["digest"] = "sha256:../../../x.gguf"
        store(root, "x/latest", tiny, layers=[layer])
    elif case == "absolute":
        layer["digest"] = str(own_home / "x.gguf")
        store(root, "x/latest", tiny, layers=[layer])
    elif case == "huge":
        store(root, "x/latest", tiny)
        with (root / "manifests/registry.ollama.ai/library/x/latest").open("r+b") as file:
            file.truncate(10 << 30)
    elif case == "pipe":
        store(root, "x/latest", tiny)
        (root / "manifests/registry.ollama.ai/library/x/latest").unlink()
        os.mkfifo(root / "manifests/registry.ollama.ai/library/x/latest")
    elif case == "text":
        store(root, "x/latest", b"no GGUF file")
    elif case == "two":
        store(root, "x/latest", tiny, layer)
    elif case == "none":
        store(root, "x/latest", tiny, layers=[])
    elif case == "adapter":
        store(root, "x/latest", tiny, {"mediaType": MODEL.replace("model", "adapter")})
    elif case == "layers":
        store(root, "x/latest", tiny, layers="x")
    elif case == "numbers":
        store(root, "x/latest", tiny, layers=[1])
    elif case == "deep":
        store(root, "x/latest", tiny)
        (root / "manifests/registry.ollama.ai/library/x/latest").write_text("[" * 100_000)


CASES = {
    "dangling": "which is not in the store",
    "outside": "no blob of the store",
    "absolute": "no blob of the store",
    "huge": "larger than 1 MiB",
    "pipe": "is not in ollama's store",
    "text": "is not a GGUF file",
    "two": "has 2 GGUF files",
    "none": "has no GGUF files",
    "adapter": "adapter",
    "layers": "no list of layers",
    "numbers": "no list of layers",
    "deep": "is not valid JSON",
}


@pytest.mark.parametrize("case", CASES)
def test_broken_manifests(own_home: Path, tiny: bytes, case: str) -> None:
    """A traceback, another file opened, or a list that ends at the one that is broken."""
    bad(own_home, tiny, case)
    store(own_home / ".ollama" / "models", "whole/latest", tiny)
    with pytest.raises(ModelError, match=CASES[case]) as caught:
        ended(models.obtain("ollama:x"))
    assert caught.value.exit_code == 3 and "\n" not in str(caught.value)
    listed = {each.name: each for each in models.listing(everywhere=True)}
    assert listed["ollama:whole:latest"].installed
    if case != "pipe":
        entry = listed["ollama:x:latest"]
        assert not entry.installed and entry.source.startswith("Ollama: ")


def test_what_ollama_adds_is_told(own_home: Path, tiny: bytes) -> None:
    """A system prompt that ollama gives and we do not, without a word."""
    system = {"mediaType": "application/vnd.ollama.image.system", "digest": "sha256:0"}
    store(own_home / ".ollama" / "models", "x/latest", tiny, system)
    steps, _ = told(models.obtain("ollama:x"))
    assert any(isinstance(step, Notice) and "system prompt" in step.text for step in steps)


def test_lm_studios_models(own_home: Path, tiny: bytes, model_dir: Path) -> None:
    """A publisher's folder not looked into, parts listed one by one, or eyes taken for a model."""
    root = own_home / ".lmstudio" / "models"
    place = root / "lmstudio-community" / "Some-GGUF"
    place.mkdir(parents=True)
    for name in ("Some-Q4_K_M.gguf", "mmproj-Some.gguf", "notes.txt"):
        (place / name).write_bytes(tiny)
    for part in (1, 2):
        (place / f"Big-0000{part}-of-00002.gguf").write_bytes(b"GGUF")
    (place / "Half-00001-of-00002.gguf").write_bytes(b"GGUF")
    model_dir.rename(root / "mlx-community")
    (root / "mlx-community").rename(root / "plain")
    listed = {each.name: each for each in BY_PREFIX["lmstudio"].listing()}
    prefix = "lmstudio-community/Some-GGUF/"
    assert list(listed) == [
        *(f"{prefix}{n}" for n in ("Big-00001-of-00002.gguf", "Half-00001-of-00002.gguf")),
        f"{prefix}Some-Q4_K_M.gguf",
        "plain",
    ]
    assert listed[f"{prefix}Big-00001-of-00002.gguf"].size == 8
    assert "is missing" in str(listed[f"{prefix}Half-00001-of-00002.gguf"].problem)
    found = ended(models.obtain(f"lmstudio:{prefix}Some-Q4_K_M.gguf"))
    assert found.managed and models.find("lmstudio:plain").path == root / "plain"
    models.remove(f"lmstudio:{prefix}Some-Q4_K_M.gguf")
    assert (place / "Some-Q4_K_M.gguf").is_file() and not found.path.exists()
    with pytest.raises(UsageError, match="LM Studio"):
        models.remove("lmstudio:plain")


def test_llama_cpps_cache(own_home: Path, tiny: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """LLAMA_CACHE not obeyed, a manifest or a download in progress taken for a model."""
    for root in (own_home / ".cache" / "llama.cpp", own_home / "mine"):
        root.mkdir(parents=True)
        (root / "org_some_some-Q8_0.gguf").write_bytes(tiny)
        (root / "manifest=org=some=latest.json").write_text("{}")
        (root / "org_some_x.gguf.downloadInProgress").write_bytes(b"x")
    assert [each.name for each in BY_PREFIX["llama.cpp"].listing()] == ["org_some_some-Q8_0.gguf"]
    monkeypatch.setenv("LLAMA_CACHE", str(own_home / "mine"))
    path, _ = BY_PREFIX["llama.cpp"].find("org_some_some-Q8_0.gguf")
    assert path.parent == own_home / "mine"
    assert ended(models.obtain("llama.cpp:org_some_some-Q8_0.gguf")).path.is_dir()


@pytest.mark.parametrize("prefix", ["lmstudio", "llama.cpp"])
@pytest.mark.parametrize("name", ["", "../x.gguf", "/etc/passwd", "a/../../x", "x\0y", "no.gguf"])
def test_names_that_lead_out_of_a_folder(own_home: Path, tiny: bytes, prefix, name: str) -> None:
    """A path of a store that is any path."""
    for place in (own_home / ".lmstudio", own_home / ".cache"):
        (place / "models").mkdir(parents=True)
        (place / "x.gguf").write_bytes(tiny)
    with pytest.raises(ModelError) as caught:
        models.find(f"{prefix}:{name}")
    assert caught.value.exit_code == 3 and "\n" not in str(caught.value)


def test_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A RuntimeError where there is no home directory."""
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError()))
    assert not [kept for each in BY_PREFIX.values() for kept in each.listing()]


def test_a_store_that_may_not_be_read(own_home: Path, tiny: bytes, monkeypatch) -> None:
    """A permission that is denied, taken for a bug."""
    store(own_home / ".ollama" / "models", "x/latest", tiny)

    def denied(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(ollama.header, "is_gguf", denied)
    with pytest.raises(ModelError, match="Permission denied"):
        models.find("ollama:x")
    (entry,) = BY_PREFIX["ollama"].listing()
    assert entry.problem == "Permission denied"
