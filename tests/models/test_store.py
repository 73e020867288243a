from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gptcli import models
from gptcli.errors import ModelError, ResourceError
from gptcli.models import disk, manifest, store

#: Obtains argv[1], slowly if there is a second argument; prints each label once.
CODE = """
import sys, time
from gptcli import models
labels = []
steps = models.obtain(sys.argv[1])
while True:
    try:
        step = next(steps)
    except StopIteration as end:
        print("done", end.value.path, flush=True)
        break
    if step.label not in labels:
        labels.append(step.label)
        print(step.label, flush=True)
    if len(sys.argv) > 2:
        time.sleep(float(sys.argv[2]))
"""


def _run(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CODE, *arguments], stdout=subprocess.PIPE, text=True
    )


def test_a_model_is_made_of_a_gguf_file_once(tmp_path: Path, write_llama, drain) -> None:
    """A second directory of the same file, or an old one used after the file has changed."""
    path = tmp_path / "My Model.gguf"
    write_llama(path)
    assert models.find(str(path)) is None
    found = drain(models.obtain(str(path)))
    assert found.managed and found.source == str(path) and found.name == str(path)
    assert found.path.parent == store.root() and found.path.name.startswith("gguf-My-Model-")
    made = (found.path / "config.json").stat().st_mtime_ns
    assert drain(models.obtain(str(path))) == found == models.find(str(path))
    assert (found.path / "config.json").stat().st_mtime_ns == made
    assert models.find(found.path.name).path == found.path
    assert found.path.name in models.known_names()
    path.touch()
    assert models.find(str(path)) is None
    assert drain(models.obtain(str(path))).path != found.path


def test_converted_copy_is_removed_but_never_the_file(tmp_path: Path, write_llama, drain) -> None:
    """`models remove x.gguf` that deletes the user's own file, or leaves the copy."""
    path = tmp_path / "x.gguf"
    write_llama(path)
    found = drain(models.obtain(str(path)))
    size = disk.size_of(found.path)
    assert models.remove(str(path)).freed == size
    assert path.exists() and not found.path.exists()
    with pytest.raises(ModelError, match="not on this disk"):
        models.remove(str(path))
    with pytest.raises(ModelError, match="not on this disk"):
        models.remove("smollm2")


def test_broken_file_leaves_nothing(tmp_path: Path, drain) -> None:
    """A staging directory that stays after every failure."""
    path = tmp_path / "x.gguf"
    path.write_bytes(b"GGUF" + bytes(20))
    with pytest.raises(ModelError, match="is not a valid GGUF file"):
        drain(models.obtain(str(path)))
    assert not store.names() and _staged() == []


def test_closing_leaves_nothing(tmp_path: Path, write_llama) -> None:
    """Half a model after Ctrl-C."""
    write_llama(tmp_path / "x.gguf")
    steps = models.obtain(str(tmp_path / "x.gguf"))
    next(steps)
    assert _staged()
    steps.close()
    assert not store.names() and _staged() == []


def test_kill_leaves_no_half_model(tmp_path: Path, write_llama, drain) -> None:
    """Half a directory found as a model, or its leavings in the way of the next."""
    path = tmp_path / "x.gguf"
    write_llama(path)
    child = _run(str(path), "30")
    assert child.stdout is not None and child.stdout.readline().startswith("reading")
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert _staged() and models.find(str(path)) is None and not store.names()
    found = drain(models.obtain(str(path)))
    assert drain(models.verify(found)).ok and _staged() == []


@pytest.mark.slow
def test_two_processes_make_it_once(tmp_path: Path, write_llama) -> None:
    """Two that write one directory, or a wait that says nothing."""
    path = tmp_path / "x.gguf"
    write_llama(path)
    first = _run(str(path), "4")
    assert first.stdout is not None and first.stdout.readline().startswith("reading")
    second = _run(str(path))
    outs = [first.communicate(timeout=60)[0], second.communicate(timeout=60)[0]]
    assert first.returncode == second.returncode == 0
    assert "waiting for another gptcli" in outs[1] and "reading" not in outs[1]
    assert outs[0].splitlines()[-1] == outs[1].splitlines()[-1]


def test_older_format_is_made_again(tmp_path: Path, write_llama, drain, monkeypatch) -> None:
    """A model of an older converter used for ever, or in the way of its successor."""
    path = tmp_path / "x.gguf"
    write_llama(path)
    found = drain(models.obtain(str(path)))
    monkeypatch.setattr(manifest, "FORMAT", manifest.FORMAT + 1)
    assert models.find(str(path)) is None
    with pytest.raises(ModelError, match="another version"):
        drain(models.obtain(found.path.name))
    assert drain(models.obtain(str(path))).path == found.path
    assert models.find(str(path)) == found


def test_incomplete_model_is_not_found(tmp_path: Path, write_llama, drain) -> None:
    """A model without the index of its weights, found by its manifest alone."""
    path = tmp_path / "x.gguf"
    write_llama(path)
    found = drain(models.obtain(str(path)))
    (found.path / "gguf.json").unlink()
    assert models.find(str(path)) is None
    assert not next(e for e in models.listing() if e.name == found.path.name).installed
    assert drain(models.verify(drain(models.obtain(str(path))))).ok


def test_unwritable_data_directory(tmp_path: Path, write_llama, drain, monkeypatch) -> None:
    """A PermissionError or NotADirectoryError instead of one line."""
    write_llama(tmp_path / "x.gguf")
    (tmp_path / "file").touch()
    monkeypatch.setenv("GPTCLI_DATA_DIR", str(tmp_path / "file"))
    with pytest.raises(ResourceError) as caught:
        drain(models.obtain(str(tmp_path / "x.gguf")))
    assert caught.value.exit_code == 6


def test_no_space(tmp_path: Path, write_llama, drain, monkeypatch) -> None:
    """A disk filled to the brim before anybody asked how large the model becomes."""
    write_llama(tmp_path / "x.gguf")
    found = drain(models.obtain(str(tmp_path / "x.gguf")))
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ResourceError, match=r"needs \d+ kB of free disk space, but 10 B are free"):
        drain(models.convert(found, tmp_path / "out"))
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == []


def test_full_disk(tmp_path: Path, write_llama, drain, monkeypatch) -> None:
    """ENOSPC in the middle of a write shown as a bug."""
    write_llama(tmp_path / "x.gguf")

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(manifest, "write", full)
    with pytest.raises(ResourceError, match="disk is full"):
        drain(models.obtain(str(tmp_path / "x.gguf")))
    assert _staged() == []


def _staged() -> list[Path]:
    place = store.root()
    return list(place.glob(".*-part")) if place.is_dir() else []
