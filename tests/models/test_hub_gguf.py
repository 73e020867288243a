"""GGUF files of the hub: which is fetched, found again, gone on with, updated and removed."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from gptcli import models
from gptcli.errors import ModelError, NetworkError, ResourceError, UsageError
from gptcli.models import disk, hub_cache, hub_download
from gptcli.models.hub_cache import Repo
from gptcli.types.events import Notice, Progress
from tests.models.test_hub import CONFIG, SHA, SMALL, WEIGHTS, Hub, hub  # noqa: F401 - a fixture
from tests.tasks import ended, told

REPO = "org/some-GGUF"
OTHER = "fedcba9876543210fedcba9876543210fedcba98"


@pytest.fixture(scope="session")
def gguf_bytes(tmp_path_factory: pytest.TempPathFactory, write_llama: Callable) -> bytes:
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_llama(path)
    return path.read_bytes()


@pytest.fixture
def files(hub: Hub, gguf_bytes: bytes) -> dict[str, bytes]:  # noqa: F811
    """A repository of GGUF files; all but the parts are one model, told apart by their ends."""
    names = ("some-Q4_K_M.gguf", "some-Q8_0.gguf", "BF16/some-BF16.gguf", "mmproj-F16.gguf")
    hub.repos[REPO] = {"README.md": b"x", "config.json": CONFIG}
    for place, name in enumerate(names):
        hub.repos[REPO][name] = gguf_bytes + bytes(place)
    hub.repos["org/slow"] = {"slow-Q8_0.gguf": gguf_bytes}
    hub.repos["org/both"] = SMALL | {"model.safetensors": WEIGHTS, "both-Q8_0.gguf": gguf_bytes}
    hub.repos["org/lacking"] = {"x-Q8_0-00001-of-00002.gguf": gguf_bytes}
    return hub.repos[REPO]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        (REPO, "some-Q4_K_M.gguf"),
        (f"{REPO}:q8_0", "some-Q8_0.gguf"),
        (f"hf.co/{REPO}:Q8_0", "some-Q8_0.gguf"),
        (f"https://huggingface.co/{REPO}:latest", "some-Q4_K_M.gguf"),
        (f"{REPO}@v1:BF16", "BF16/some-BF16.gguf"),
        (f"{REPO}:some-Q8_0.gguf", "some-Q8_0.gguf"),
        (f"{REPO}:BF16/some-BF16.gguf", "BF16/some-BF16.gguf"),
        ("org/both:Q8_0", "both-Q8_0.gguf"),
    ],
)
def test_one_variant_is_fetched(hub: Hub, files, name: str, file: str) -> None:  # noqa: F811
    """All variants fetched for one, a name that is asked for again online, or does not run."""
    found = ended(models.obtain(name))
    assert hub.asked == [file]
    assert (found.path / "config.json").is_file() and found.name == name
    hub.shutdown()
    assert ended(models.obtain(name)) == found == models.find(name)


def test_safetensors_come_first(hub: Hub, files) -> None:  # noqa: F811
    """A GGUF file taken in place of the weights that it was made of."""
    found = ended(models.obtain("org/both"))
    assert (found.path / "model.safetensors").is_file()
    assert not [name for name in hub.asked if name.endswith(".gguf")]


def test_the_choice_is_told(hub: Hub, files) -> None:  # noqa: F811
    """One of several variants taken without a word, or no word of what does not fit."""
    steps, _ = told(models.obtain(REPO, room=lambda: 1))
    (said,) = [step.text for step in steps if isinstance(step, Notice)]
    assert said.startswith("takes Q4_K_M of Q4_K_M (") and "Q8_0 (" in said
    assert said.count("needs") == 3 and f"{REPO}:NAME" in said
    steps, _ = told(models.obtain(f"{REPO}:Q8_0"))
    assert not [step for step in steps if isinstance(step, Notice)]


def test_another_variant_than_is_here_is_not_taken_for_it(hub: Hub, files) -> None:  # noqa: F811
    """The file that is here answering for a name that means another one."""
    files["other-Q8_0.gguf"] = files["some-Q8_0.gguf"] + b"other"
    ended(models.obtain(f"{REPO}:other-Q8_0.gguf"))
    assert models.find(f"{REPO}:Q8_0") is None and models.find(REPO) is None
    assert [each.name for each in hub_cache.gguf(Repo(REPO))] == ["other-Q8_0.gguf"]
    assert f"{REPO}:other-Q8_0.gguf" in models.known_names()


def test_files_of_another_tool_are_found_by_name_alone(hub: Hub, files) -> None:  # noqa: F811
    """What huggingface-cli fetched not found, or one of two variants taken for the default."""
    ended(models.obtain(f"{REPO}:Q8_0"))
    hub_cache._note(Repo(REPO)).unlink()
    hub.asked.clear()
    assert models.find(REPO) is None
    ended(models.obtain(f"{REPO}:Q8_0"))
    assert not hub.asked


def test_parts(hub: Hub, files, tmp_path: Path, write_llama) -> None:  # noqa: F811
    """One part fetched for the whole, or a directory of parts not understood."""
    tool = write_parts(tmp_path, write_llama)
    hub.repos["org/parts"] = {f"Q8_0/{path.name}": path.read_bytes() for path in tool}
    found = ended(models.obtain("org/parts:Q8_0"))
    assert sorted(hub.asked) == sorted(hub.repos["org/parts"])
    assert models.find("org/parts:q8_0") is not None and found.path.is_dir()


def write_parts(place: Path, write_llama) -> list[Path]:
    """A model in two parts, as gguf-split writes it."""
    from gguf import GGUFReader, GGUFWriter

    whole = place / "whole.gguf"
    write_llama(whole)
    tensors = list(GGUFReader(whole).tensors)
    paths = [place / f"x-{number:05}-of-00002.gguf" for number in (1, 2)]
    fields = {"split.count": 2, "split.tensors.count": len(tensors)}

    def split(writer: GGUFWriter, number: int) -> None:
        writer.add_uint16("split.no", number)
        for name, value in fields.items():
            (writer.add_uint16 if name == "split.count" else writer.add_int32)(name, value)

    write_llama(paths[0], extra=lambda writer: split(writer, 0), only=lambda at: at < 5)
    write_llama(paths[1], extra=lambda writer: split(writer, 1), only=lambda at: at >= 5)
    return paths


REFUSED = {
    f"{REPO}:Q3_K": (ModelError, "has no variant Q3_K.*Q4_K_M, Q8_0, BF16"),
    "org/tiny:Q8_0": (ModelError, "has no GGUF files"),
    "org/lacking:Q8_0": (ModelError, "lacks x-Q8_0-00002-of-00002.gguf"),
    "org/unknown:Q8_0": (ModelError, "is not on the hub, or is private"),
    f"{REPO}@v9:Q8_0": (ModelError, "has no revision 'v9'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_had(hub: Hub, files, name: str) -> None:  # noqa: F811
    """A library's page-long message, or gigabytes fetched before the refusal."""
    kind, reason = REFUSED[name]
    with pytest.raises(kind, match=reason) as caught:
        ended(models.obtain(name))
    assert "\n" not in str(caught.value) and not hub.asked


def test_gated(hub: Hub, files) -> None:  # noqa: F811
    """A gated repository of GGUF files that is said to be missing."""
    hub.repos["org/gated"] = {"x-Q8_0.gguf": b"x"}
    with pytest.raises(NetworkError, match="licence must be accepted"):
        ended(models.obtain("org/gated:Q8_0"))


def test_offline(hub: Hub, files, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """HF_HUB_OFFLINE that hides what is here, or does not say what is."""
    import huggingface_hub
    from huggingface_hub import constants

    ended(models.obtain(f"{REPO}:Q8_0"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    huggingface_hub.close_session()
    assert ended(models.obtain(f"{REPO}:Q8_0"))
    with pytest.raises(NetworkError, match=rf"HF_HUB_OFFLINE.*{REPO}:Q8_0 is here"):
        ended(models.obtain(REPO))


def test_a_download_goes_on(hub: Hub, files, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """Gigabytes fetched twice after Ctrl-C, or half a file taken for the whole."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    monkeypatch.setattr(hub_download, "RESUMED", 1)
    hub.first = 5000
    steps = models.obtain("org/slow:Q8_0")
    for step in steps:
        if isinstance(step, Notice) or (step.total and step.done >= 4000):
            break
    hub.go.set()
    steps.close()
    (left,) = (hub_cache.cache() / "models--org--slow" / "blobs").iterdir()
    have = left.stat().st_size
    assert left.suffix == ".incomplete" and 4000 <= have < len(
        hub.repos["org/slow"]["slow-Q8_0.gguf"]
    )
    steps, found = told(models.obtain("org/slow:Q8_0"))
    assert hub.begins == [0, have]
    assert next(s.text for s in steps if isinstance(s, Notice)).startswith("goes on where it was")
    steps = [step for step in steps if isinstance(step, Progress)]
    assert min(step.done for step in steps if step.total and step.done) >= have
    assert found.path.is_dir() and not left.exists()
    blob = (hub_cache.find_gguf(Repo("org/slow", variant="Q8_0")) or Path()).resolve()
    assert blob.read_bytes() == hub.repos["org/slow"]["slow-Q8_0.gguf"]


def test_a_token_stays_with_the_hub(
    hub: Hub,  # noqa: F811
    files,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A user's token sent to whichever host large files come from."""
    monkeypatch.setattr(hub_download, "RESUMED", 1)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.elsewhere = hub.url.replace("127.0.0.1", "localhost")
    assert ended(models.obtain(f"{REPO}:Q8_0")).path.is_dir()
    assert hub.tokens.pop(2) is None and set(hub.tokens) == {"Bearer hf_secret"}


def test_a_full_disk_keeps_no_half_of_a_file(
    hub: Hub,  # noqa: F811
    files,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A disk that stays full after the tool said so."""
    from huggingface_hub import file_download

    def full(_url: str, file: BinaryIO, **_options: object) -> None:
        file.write(b"x" * 1000)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(hub_download, "RESUMED", 1)
    monkeypatch.setattr(file_download, "http_get", full)
    with pytest.raises(ResourceError, match="the disk is full"):
        ended(models.obtain(f"{REPO}:Q8_0"))
    assert not list(hub_cache.cache().rglob("*.incomplete"))


def test_space_is_asked_for_what_is_still_to_come(
    hub: Hub,  # noqa: F811
    files,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The end of a download refused for the space of its beginning, or another file's counted."""
    data = files["some-Q8_0.gguf"]
    blobs = hub_cache.cache() / "models--org--some-GGUF" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{hashlib.sha256(data).hexdigest()}.incomplete").write_bytes(data[:-1000])
    (blobs / f"{'0' * 64}.incomplete").write_bytes(data)
    monkeypatch.setattr(hub_download, "RESUMED", 1)
    asked = []
    monkeypatch.setattr(disk, "need_space", lambda _, size: asked.append(size))
    ended(models.obtain(f"{REPO}:Q8_0"))
    assert asked[0] == 1000


@pytest.mark.parametrize("damage", ["altered", "longer"])
def test_what_was_begun_with_is_held_to_its_digest(
    hub: Hub,  # noqa: F811
    files,
    monkeypatch: pytest.MonkeyPatch,
    damage: str,
) -> None:
    """Another file's beginning joined to this one's end."""
    monkeypatch.setattr(hub_download, "RESUMED", 1)
    data = files["some-Q8_0.gguf"]
    blobs = hub_cache.cache() / "models--org--some-GGUF" / "blobs"
    blobs.mkdir(parents=True)
    begun = blobs / f"{hashlib.sha256(data).hexdigest()}.incomplete"
    begun.write_bytes(b"x" * 100 if damage == "altered" else data + b"xx")
    if damage == "altered":
        with pytest.raises(NetworkError, match=r"was altered.*try again"):
            ended(models.obtain(f"{REPO}:Q8_0"))
        assert not begun.exists()
    assert ended(models.obtain(f"{REPO}:Q8_0")).path.is_dir()
    assert hub.begins[-1] == 0


KILLED = """
import sys
from huggingface_hub import constants
constants.DOWNLOAD_CHUNK_SIZE = 1000
from gptcli import models
from gptcli.models import hub_download
hub_download.RESUMED = 1
for step in models.obtain("org/slow:Q8_0"):
    if getattr(step, "done", 0) >= 4000:
        print("begun", flush=True)
"""


def test_a_killed_download_goes_on(hub: Hub, files, monkeypatch) -> None:  # noqa: F811
    """Half a file that stays for good after kill -9, or is begun anew beside itself."""
    monkeypatch.setattr(hub_download, "RESUMED", 1)
    hub.first = 5000
    env = os.environ | {"HF_ENDPOINT": hub.url}
    child = subprocess.Popen([sys.executable, "-c", KILLED], env=env, stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.readline() == b"begun\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    hub.go.set()
    assert ended(models.obtain("org/slow:Q8_0")).path.is_dir()
    assert hub.begins[0] == 0 and hub.begins[-1] >= 4000
    assert not list(hub_cache.cache().rglob("*.incomplete"))


def test_half_a_file_of_a_removed_model_goes(hub: Hub, files) -> None:  # noqa: F811
    """Gigabytes that nothing removes, since no snapshot names them."""
    blobs = hub_cache.cache() / "models--org--some-GGUF" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{SHA}.incomplete").write_bytes(b"x" * 100)
    (blobs / f"{SHA}.12345678.incomplete").write_bytes(b"x" * 10)
    assert models.remove(REPO).freed == 110
    assert not list(blobs.iterdir())


def test_what_others_left_is_swept_when_it_is_old(hub: Hub, files) -> None:  # noqa: F811
    """Another process's download removed, or one that was killed kept for good."""
    blobs = hub_cache.cache() / "models--org--some-GGUF" / "blobs"
    blobs.mkdir(parents=True)
    old, new, begun = (blobs / f"{SHA}.{end}.incomplete" for end in ("1", "2", "3"))
    begun = blobs / f"{SHA}.incomplete"
    for path in (old, new, begun):
        path.write_bytes(b"x")
    for path in (old, begun):
        os.utime(path, (time.time() - 1e6,) * 2)
    ended(models.obtain(f"{REPO}:Q8_0"))
    assert not old.exists() and new.exists() and begun.exists()


def test_one_variant_is_removed(hub: Hub, files) -> None:  # noqa: F811
    """All variants removed with one, or a blob and what was made of it kept for good."""
    one, two = (ended(models.obtain(f"{REPO}:{name}")) for name in ("Q4_K_M", "Q8_0"))
    gone = models.remove(f"{REPO}:q4_k_m")
    assert gone.freed >= len(files["some-Q4_K_M.gguf"]) and not one.path.exists()
    assert two.path.exists() and models.find(f"{REPO}:Q8_0") == two
    assert [each.name for each in hub_cache.gguf(Repo(REPO))] == ["Q8_0"]
    with pytest.raises(ModelError, match="not on this disk"):
        models.remove(f"{REPO}:Q4_K_M")
    models.remove(f"{REPO}:Q8_0")
    assert not [path for path in hub_cache.cache().rglob("blobs/*") if path.is_file()]
    assert not two.path.exists()


def test_variants_are_listed(hub: Hub, files) -> None:  # noqa: F811
    """Gigabytes in the hub's cache that `models list` does not show."""
    ended(models.obtain(f"{REPO}:Q8_0"))
    (entry,) = [each for each in models.listing() if each.name.startswith(REPO)]
    assert entry.name == f"{REPO}:Q8_0" and entry.installed
    assert entry.size == len(files["some-Q8_0.gguf"])


def test_update(hub: Hub, files) -> None:  # noqa: F811
    """An old version that answers for good, or all files fetched where one has changed."""
    name = "org/tiny"
    before, did = ended(models.update(name))
    assert did.startswith("is at commit 0123456; fetched config.json (")
    assert ended(models.update(name)) == (before, "is as the hub has it, at commit 0123456")
    hub.commit = OTHER
    hub.repos[name] = hub.repos[name] | {"tokenizer.json": b'{"a": 1}'}
    hub.asked.clear()
    after, did = ended(models.update(name))
    assert did == "went from commit 0123456 to fedcba9; fetched tokenizer.json (8 B)"
    assert hub.asked == ["tokenizer.json"] and after.path.name == OTHER
    assert models.find(name) == after
    hub.commit = OTHER.replace("f", "a")
    assert ended(models.update(name))[1].endswith("to aedcba9; none of its files changed")


def test_update_of_a_variant(hub: Hub, files) -> None:  # noqa: F811
    """The old file that answers under the new commit."""
    before = ended(models.obtain(REPO))
    hub.commit = OTHER
    hub.repos[REPO] = files | {"some-Q4_K_M.gguf": files["some-Q4_K_M.gguf"] + b"new"}
    after, did = ended(models.update(REPO))
    assert "fetched some-Q4_K_M.gguf (" in did and after.path != before.path
    assert models.find(REPO) == after


@pytest.mark.parametrize("name", ["smollm2", ".", "ollama:x"])
def test_update_of_what_does_not_come_from_the_hub(name: str) -> None:
    """A flag that does nothing without a word."""
    with pytest.raises(UsageError, match="--update"):
        ended(models.update(name))


def test_an_offer(hub: Hub, files) -> None:  # noqa: F811
    """What `models show` lists of a repository that is not here."""
    hub.more[REPO] = {
        "downloads": 12,
        "tags": ["gguf", "license:mit"],
        "gated": "auto",
        "gguf": {"total": 1000, "architecture": "llama"},
    }
    ended(models.obtain(f"{REPO}:Q8_0"))
    offer = ended(models.offer(REPO))
    assert (offer.name, offer.downloads, offer.licence, offer.gated) == (REPO, 12, "mit", True)
    assert (offer.family, offer.parameters, offer.default) == ("llama", 1000, "Q4_K_M")
    assert [each.name for each in offer.variants] == ["Q4_K_M", "Q8_0", "BF16"]
    assert offer.here == ("Q8_0",) and offer.variants[1].size == len(files["some-Q8_0.gguf"])
    both = ended(models.offer("org/both"))
    assert [each.name for each in both.variants] == ["", "Q8_0"] and both.default == ""
    assert models.offer("smollm2") is None
