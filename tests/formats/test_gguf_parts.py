"""GGUF files in several parts."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import gguf
import pytest
import torch

from gptcli.errors import ModelError
from gptcli.formats.gguf import parts
from gptcli.models import local_gguf
from tests.models import gguf_export
from tests.models.conftest import add_tokenizer
from tests.models.test_gguf_families import checkpoint, imported


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A model as one file and as several."""
    path = tmp_path_factory.mktemp("parts")
    checkpoint("llama", path / "published")
    gguf_export.export(path / "published", path / "whole.gguf", add_tokenizer)
    gguf_export.export(path / "published", path / "split.gguf", add_tokenizer, largest=9)
    return path


@pytest.fixture
def split(source: Path, tmp_path: Path) -> list[Path]:
    for path in source.glob("split-*.gguf"):
        shutil.copy(path, tmp_path)
    return sorted(tmp_path.glob("split-*.gguf"))


def test_parts_are_the_whole(source: Path, split: list[Path], tmp_path: Path) -> None:
    """Catches a part left out, and tensors read from another part at their place."""
    assert len(split) > 2
    wanted = gguf_export.load(imported(source / "whole.gguf", tmp_path / "whole"))
    for number, path in enumerate((split[0], split[-1])):
        found = gguf_export.load(imported(path, tmp_path / str(number)))
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items())


def test_every_part_names_the_same_model(split: list[Path]) -> None:
    """Catches one model per part, and one that stays when a part of it has changed."""
    names = {local_gguf.managed_name(path) for path in split}
    assert len(names) == 1 and names.pop().startswith("gguf-split-")
    before = local_gguf.managed_name(split[0])
    split[-1].write_bytes(split[-1].read_bytes() + b"\0")
    assert local_gguf.managed_name(split[0]) != before


@pytest.mark.parametrize("missing", [0, 1, -1])
def test_a_missing_part_is_named(split: list[Path], missing: int) -> None:
    """Catches a model without some of its layers, or an error about a tensor."""
    split[missing].unlink()
    here = next(path for path in split if path.exists())
    for find in (parts.read, local_gguf.managed_name):
        with pytest.raises(ModelError, match="is missing: split-0000") as caught:
            find(here)
        assert caught.value.subject == str(split[missing])


def test_parts_of_other_models_are_refused(split: list[Path]) -> None:
    """Catches parts that were swapped, or copied over another."""
    shutil.copy(split[0], split[1])
    with pytest.raises(ModelError, match="says that it is part 0 of") as caught:
        parts.read(split[0])
    assert caught.value.subject == str(split[1])


def test_a_file_that_was_renamed_is_refused(split: list[Path]) -> None:
    """Catches one part taken for the whole."""
    alone = split[0].rename(split[0].with_name("renamed.gguf"))
    with pytest.raises(ModelError, match="does not say which"):
        parts.read(alone)


def test_parts_must_hold_all_tensors(split: list[Path]) -> None:
    """Catches a set from which tensors were lost, by the count that the first part states."""
    data = split[0].read_bytes()
    key = b"split.tensors.count" + struct.pack("<I", gguf.GGUFValueType.INT32)
    at = data.index(key) + len(key)
    split[0].write_bytes(data[:at] + struct.pack("<i", 99) + data[at + 4 :])
    with pytest.raises(ModelError, match="tensors, not 99"):
        parts.read(split[0])


@pytest.mark.parametrize("name", ["a-00000-of-00002", "a-00003-of-00002", "a-00001-of-99999"])
def test_names_that_are_no_parts(tmp_path: Path, name: str) -> None:
    """Catches a search for parts that a name only seems to speak of."""
    path = tmp_path / f"{name}.gguf"
    assert parts.paths(path) == [path]
