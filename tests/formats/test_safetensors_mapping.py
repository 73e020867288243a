"""Weights as numpy views of the mapped files, against the safetensors library."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from gptcli.errors import ModelError
from gptcli.formats.mapping import MappedFiles
from gptcli.formats.safetensors import stored
from tests.engine.helpers import GOLDENS, copy_case


def header(entries: dict[str, object], data: bytes = b"") -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + data


def arrays(directory: Path, **flags) -> dict[str, np.ndarray]:
    """All tensors of a directory, as they are mapped."""
    mapped = MappedFiles(**flags)
    return {name: mapped.array(each) for name, each in stored.read(directory).tensors.items()}


@pytest.mark.parametrize("case", ["llama/tied", "llama/sharded", "gpt2/sharded"])
def test_goldens_are_read_as_by_the_library(case):
    """Catches offsets from the wrong place, and a shard that is left out."""
    found = arrays(GOLDENS / case)
    expected = {}
    for file in (GOLDENS / case).glob("model*.safetensors"):
        expected |= load_file(file)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert np.array_equal(found[name], tensor.numpy())


@pytest.mark.parametrize(
    ("dtype", "kind", "read_as"),
    [
        (torch.float32, "F32", np.float32),
        (torch.float16, "F16", np.float16),
        (torch.bfloat16, "BF16", np.uint16),
        (torch.int64, "I64", np.int64),
        (torch.complex64, "C64", np.complex64),
        (torch.float8_e4m3fn, "F8_E4M3", np.uint8),
    ],
)
def test_dtypes(tmp_path, dtype, kind, read_as):
    """Catches bfloat16 read as float16, and a tensor at an odd place that is shifted.

    8-bit floats are bits: what they mean is told by their kind alone.
    """
    tensor = torch.arange(-6, 6).view(3, 4).to(dtype)
    odd = torch.tensor([7] * 3, dtype=torch.uint8)
    save_file({"b": tensor, "a": odd, "c": odd + 1}, tmp_path / "model.safetensors")
    found = arrays(tmp_path)
    assert (stored.read(tmp_path).tensors["b"].kind, found["b"].dtype) == (kind, read_as)
    assert found["b"].tobytes() == tensor.view(torch.uint8).numpy().tobytes()
    assert [found[name].tolist() for name in "ac"] == [[7] * 3, [8] * 3]


def test_views_are_of_the_file_and_not_for_writing(tmp_path):
    """Catches a copy of all weights, and a model that an accident could change on disk."""
    directory = copy_case("llama/tied", tmp_path / "m")
    array = arrays(directory)["model.norm.weight"]
    assert not array.flags.owndata and not array.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    private = arrays(directory, private=True)["model.norm.weight"]
    private[0] += 1
    assert not private.flags.owndata and private[0] == array[0] + 1
    assert arrays(directory)["model.norm.weight"][0] == array[0]


def test_pages_that_are_given_back_are_read_again(tmp_path):
    """Catches numbers that turn to zeros, and weights that stay in memory once they were read."""
    save_file({"a": torch.ones(1 << 22)}, tmp_path / "model.safetensors")
    files = MappedFiles()
    array = files.array(stored.read(tmp_path).tensors["a"])
    for _ in range(2):
        assert array.sum() == 1 << 22
        held = _resident(array)
        files.release(tmp_path / "model.safetensors")
        assert _resident(array) is None or _resident(array) < held / 4


def _resident(array: np.ndarray) -> int | None:
    """Bytes of the mapping that an array lies in which are in this process, on Linux."""
    if not Path("/proc/self/smaps").exists():
        return None
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            begin, end = (int(each, 16) for each in line.split()[0].split("-"))
            inside = begin <= array.ctypes.data < end
        elif inside and line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the array is in no mapping")


def test_a_file_that_was_cut_after_its_header_was_read(tmp_path):
    """Catches a view beyond the end of a file that another program changes meanwhile."""
    save_file({"a": torch.ones(4), "b": torch.ones(4)}, tmp_path / "model.safetensors")
    tensors = stored.read(tmp_path).tensors
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-16])
    last = max(tensors.values(), key=lambda each: each.begin)
    with pytest.raises(ModelError, match="cut short"):
        MappedFiles().array(last)


@pytest.mark.parametrize("shape", [[0, 2**63], [1] * 70, [0] * 65])
def test_impossible_shapes_are_the_files_fault(tmp_path, shape):
    """Catches an exception of numpy's where a file was made to harm."""
    size = 0 if 0 in shape else 1
    entry = {"dtype": "U8", "shape": shape, "data_offsets": [0, size]}
    (tmp_path / "model.safetensors").write_bytes(header({"a": entry}, bytes(size)))
    with pytest.raises(ModelError, match="impossible shape"):
        stored.read(tmp_path)


def test_damaged_files_are_refused(tmp_path):
    """Catches a view beyond the end of a file that was cut short: a crash, not an error."""
    model = copy_case("llama/tied", tmp_path / "m")
    file = model / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ModelError, match="bytes long"):
        stored.read(model)


def shards_of(model: Path) -> dict[str, str]:
    return json.loads((model / "model.safetensors.index.json").read_text())["weight_map"]


def test_shards_that_are_not_as_the_index_says(tmp_path):
    """Catches a missing shard, a tensor that a shard lacks, and one that two of them hold."""
    model = copy_case("llama/sharded", tmp_path / "lacks")
    weight_map = {**shards_of(model), "extra": "model-00001-of-00005.safetensors"}
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(ModelError, match="lacks extra"):
        stored.read(model)

    model = copy_case("llama/sharded", tmp_path / "missing")
    (model / "model-00002-of-00005.safetensors").unlink()
    with pytest.raises(ModelError, match="is missing"):
        stored.read(model)

    model = copy_case("llama/sharded", tmp_path / "twice")
    first, second = (model / f"model-0000{n}-of-00005.safetensors" for n in (1, 2))
    save_file(load_file(second) | load_file(first), second)
    with pytest.raises(ModelError, match="stored twice"):
        stored.read(model)
