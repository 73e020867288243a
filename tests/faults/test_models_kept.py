"""Models that gptcli made: of these very files, whole, and gone when they are removed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gptcli import atomic, models
from gptcli.engine.describe import describe
from gptcli.errors import ModelError
from gptcli.formats.mapping import MappedFiles
from gptcli.models import hub_cache, store
from gptcli.models.hub_cache import Repo
from gptcli.types.events import Progress
from tests.models.conftest import write_llama  # noqa: F401 - a fixture
from tests.tasks import ended


@pytest.fixture
def gguf(tmp_path: Path, write_llama) -> Path:  # noqa: F811
    path = tmp_path / "x.gguf"
    write_llama(path)
    return path


def _numbers(path: Path) -> bytes:
    """The last tensor of the file, as the model has it."""
    stored = describe(ended(models.obtain(str(path))).path).stored
    last = max(stored.tensors.values(), key=lambda tensor: tensor.end)
    return MappedFiles().array(last).tobytes()


def test_a_gguf_file_replaced_with_its_time_is_read_anew(gguf: Path) -> None:
    """It was known by path, size and time: the old model answered."""
    before, said = _numbers(gguf), gguf.stat()
    data = bytearray(gguf.read_bytes())
    data[-64:] = bytes(64)
    gguf.write_bytes(data)
    os.utime(gguf, ns=(said.st_atime_ns, said.st_mtime_ns))
    now = gguf.stat()
    assert (now.st_size, now.st_mtime_ns) == (said.st_size, said.st_mtime_ns), "the fault itself"
    assert models.find(str(gguf)) is None
    assert _numbers(gguf) != before
    assert models.find(str(gguf)) is not None


def test_a_gguf_file_of_another_number_and_the_same_content_is_the_same(gguf: Path) -> None:
    """Restored from a backup, a file would be another model, packed once more under a new name."""
    found = ended(models.obtain(str(gguf)))
    said = gguf.stat()
    gguf.rename(gguf.with_name("old"))
    gguf.write_bytes(gguf.with_name("old").read_bytes())
    os.utime(gguf, ns=(said.st_atime_ns, said.st_mtime_ns))
    assert gguf.stat().st_ino != said.st_ino, "the fault itself"
    assert ended(models.obtain(str(gguf))) == found
    assert models.find(str(gguf)) == found


def test_a_model_of_a_file_that_nobody_stamped_is_made_again(gguf: Path) -> None:
    """What it was made of cannot be told any more."""
    found = ended(models.obtain(str(gguf)))
    path = found.path / "gptcli.json"
    said = json.loads(path.read_text())
    assert said.pop("stamp")
    path.write_text(json.dumps(said))
    assert models.find(str(gguf)) is None
    assert ended(models.obtain(str(gguf))) == found and models.find(str(gguf)) == found


def test_an_index_that_was_changed_is_made_anew(gguf: Path) -> None:
    """A file of the right size was believed; `models verify` says what is wrong and mends none."""
    before, found = _numbers(gguf), models.find(str(gguf))
    assert found is not None
    path = found.path / "gguf.json"
    whole, said = path.read_bytes(), path.stat()
    path.write_bytes(whole.replace(b'"part"', b'"trap"').replace(b'"rope":4', b'"rope":2'))
    os.utime(path, ns=(said.st_atime_ns, said.st_mtime_ns))
    assert path.read_bytes() != whole and path.stat().st_mtime_ns == said.st_mtime_ns
    assert not ended(models.verify(found)).ok
    with pytest.raises(ModelError, match="is not whole"):
        ended(models.obtain(found.path.name))
    assert _numbers(gguf) == before and path.read_bytes() == whole


def test_a_model_is_read_once_to_find_it_sound(gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every start would read all of it; where one does, it tells of one step, not of one a file."""
    found = ended(models.obtain(str(gguf)))
    (store.root() / ".seen" / found.path.name).unlink()
    steps = [each for each in models.obtain(str(gguf)) if isinstance(each, Progress)]
    assert {each.label for each in steps} == {f"checking {found.path.name}"}
    assert {each.total for each in steps} == {steps[-1].done}
    monkeypatch.setattr("gptcli.models.disk.sha256", None)
    ended(models.obtain(str(gguf)))


_REMOVE = """
import sys, time
from gptcli import models
from gptcli.errors import ModelError
time.sleep(max(0, float(sys.argv[2]) - time.time()))
try:
    models.remove(sys.argv[1])
    print("removed")
except ModelError as error:
    # One that comes later still finds no such name at all.
    gone = ("is not on this disk", "unknown model")
    print("absent" if any(reason in str(error) for reason in gone) else error)
"""


@pytest.mark.slow
def test_removals_beside_each_other(gguf: Path) -> None:
    """The slower one said "No such file", as if the disk were broken."""
    name = ended(models.obtain(str(gguf))).path.name
    command = [sys.executable, "-c", _REMOVE, name, str(time.time() + 1.5)]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    said = sorted(child.communicate(timeout=60)[0].strip() for child in children)
    assert said == ["absent"] * 5 + ["removed"]
    assert not store.names() and not list(store.root().glob(".*-part"))


def test_the_slower_of_two_removals_says_that_it_is_not_there(
    gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same, with the other removal just between looking and removing."""
    name = ended(models.obtain(str(gguf))).path.name
    discard = atomic.discard

    def twice(path: Path) -> None:
        discard(path)
        discard(path)

    monkeypatch.setattr(atomic, "discard", twice)
    with pytest.raises(ModelError, match="is not on this disk"):
        models.remove(name)


def test_a_pipe_in_the_hubs_cache_is_no_revision() -> None:
    """To read one waits for ever."""
    repo = Repo("org/name")
    (repo.folder / "refs").mkdir(parents=True)
    os.mkfifo(repo.folder / "refs" / "main")
    assert hub_cache.find(repo) is None
