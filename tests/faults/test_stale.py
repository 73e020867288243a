"""What was made of one file never answers for another, whatever the file's name, size and time."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gptcli import identity
from gptcli.engine.cpu.packing import made_file, packed_file
from gptcli.engine.cpu.packing.origin import packed_path
from tests.engine.cpu.helpers import needs_kernels
from tests.engine.helpers import copy_case
from tests.opening import load, open_kernels

IDS = [3, 1, 4, 1, 5, 9, 2, 6]


def _logits(directory: Path) -> np.ndarray:
    runner = open_kernels(directory, dtype="float32", threads=1)
    return np.asarray(runner.all_logits(IDS, runner.new_state()))


def _changed(path: Path) -> bytes:
    data = bytearray(path.read_bytes())
    data[-64:] = bytes(64)
    return bytes(data)


def _over(path: Path, other: Path) -> None:
    """`cp -p`: the same file, and so its number."""
    stat = other.stat()
    path.write_bytes(other.read_bytes())
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def _instead(path: Path, other: Path) -> None:
    """`rsync -t`: another file, renamed into its place."""
    shutil.copy2(other, path.with_name("new"))
    path.with_name("new").replace(path)


@needs_kernels
@pytest.mark.parametrize("replace", [_over, _instead])
def test_weights_replaced_with_their_time_are_packed_anew(
    tmp_path: Path, replace: Callable[[Path, Path], None]
) -> None:
    """Packed weights were known by name, size and time: the old model answered."""
    directory = copy_case("llama/tied", tmp_path / "model")
    weights, other = directory / "model.safetensors", tmp_path / "other"
    other.write_bytes(_changed(weights))
    shutil.copystat(weights, other)
    before, said = _logits(directory), weights.stat()
    replace(weights, other)
    now = weights.stat()
    # The fault itself.
    assert (now.st_size, now.st_mtime_ns) == (said.st_size, said.st_mtime_ns)
    after = _logits(directory)
    assert not np.array_equal(before, after)
    fresh = load(directory, dtype="float32")
    whole = fresh.all_logits(IDS, fresh.new_state()).numpy()
    assert np.abs(after - whole).max() <= 1e-4 * np.abs(whole).max()


@needs_kernels
def test_a_config_that_reads_the_same_weights_otherwise(tmp_path: Path) -> None:
    """Which rows are queries follows from config.json, although no size does."""
    directory = copy_case("gpt_neox/parallel", tmp_path / "model")
    config = directory / "config.json"
    before = _logits(directory)
    said = config.read_text()
    assert '"num_attention_heads": 2' in said
    config.write_text(said.replace('"num_attention_heads": 2', '"num_attention_heads": 1'))
    after = _logits(directory)
    fresh = load(directory, dtype="float32")
    whole = fresh.all_logits(IDS, fresh.new_state()).numpy()
    assert not np.allclose(before, after)
    assert np.abs(after - whole).max() <= 1e-4 * np.abs(whole).max()


@needs_kernels
def test_the_same_content_under_another_number_is_not_packed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that is moved, restored or seen from another container is read once, not packed."""
    directory = copy_case("llama/tied", tmp_path / "model")
    before, weights = _logits(directory), directory / "model.safetensors"
    shutil.copy2(weights, tmp_path / "copy")
    number = weights.stat().st_ino
    (tmp_path / "copy").replace(weights)
    assert weights.stat().st_ino != number, "the fault itself"
    monkeypatch.setattr(made_file, "pack_into", None)
    assert np.array_equal(_logits(directory), before)
    # From then on its content is not read again.
    monkeypatch.setattr(identity, "digest", None)
    assert np.array_equal(_logits(directory), before)


@needs_kernels
def test_a_hole_in_a_packed_file_is_not_run(tmp_path: Path) -> None:
    """Two containers that wrote one name published a file of the right size with zeros in it."""
    directory = copy_case("llama/tied", tmp_path / "model")
    before = _logits(directory)
    path = packed_path(directory, "float32")
    said = path.stat()
    with path.open("r+b") as file:
        file.seek(packed_file.BEGIN)
        file.write(bytes(1024))
    os.utime(path, ns=(said.st_atime_ns, said.st_mtime_ns))
    assert path.stat().st_mtime_ns == said.st_mtime_ns
    assert np.array_equal(_logits(directory), before)


@needs_kernels
def test_a_pipe_among_packed_weights_is_no_file_of_ours(tmp_path: Path) -> None:
    """To open one waits for ever."""
    directory = copy_case("llama/tied", tmp_path / "model")
    path = packed_path(directory, "float32")
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    os.mkfifo(path.with_name(f"{path.name}.seen"))
    assert _logits(directory).shape[0] == len(IDS)


def test_a_change_within_a_tick_of_the_clock_has_another_stamp(tmp_path: Path) -> None:
    """The system's time of change goes in steps: two changes within one look like none."""
    path = tmp_path / "file"
    path.write_bytes(b"one")
    told = identity.settled([path])
    path.write_bytes(b"two")
    assert identity.stamp([path]) != told


def test_digests_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block that is left out, or taken for another, is a change that nobody sees."""
    monkeypatch.setattr(identity, "_BLOCK", 4)
    content = bytes(range(18))
    path = tmp_path / "file"
    path.write_bytes(content)
    whole = identity.digest([path])
    (tmp_path / "end").write_bytes(content[3:])
    with path.open("rb") as file:
        assert identity.digest_from(file, 0) == whole
        assert identity.digest_from(file, 3) == identity.digest([tmp_path / "end"])
    for place in range(18):
        changed = bytearray(content)
        changed[place] ^= 1
        path.write_bytes(changed)
        assert identity.digest([path]) != whole
    path.write_bytes(content[4:8] + content[:4] + content[8:])
    assert identity.digest([path]) != whole
