"""A model directory in the kernels: packed once, kept, and told apart from others."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from gptcli import identity
from gptcli.engine.cpu import choice, opening
from gptcli.engine.cpu.binding import library
from gptcli.engine.cpu.binding.library import FEATURES, KernelsUnavailableError
from gptcli.engine.cpu.packing import made_file
from gptcli.engine.cpu.packing.origin import packed_path
from gptcli.engine.cpu.run import calibration
from gptcli.errors import ModelError, ResourceError, UsageError
from gptcli.types.models import AdapterRef
from tests.engine.cpu.helpers import SETS, needs_kernels
from tests.engine.cpu.stale import stale_library
from tests.engine.helpers import GOLDENS, copy_case
from tests.opening import load, open_kernels, open_runner

pytestmark = needs_kernels
IDS = [3, 1, 4, 1, 5, 9, 2, 6]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return copy_case("llama/tied", tmp_path / "model")


def opened(directory: Path, dtype: str = "auto", **flags):
    return open_kernels(directory, dtype=dtype, threads=1, **flags)


def logits(runner) -> np.ndarray:
    return runner.all_logits(IDS, runner.new_state())


def test_equals_torch_and_is_read_again(directory, monkeypatch):
    """Catches weights that are packed wrongly, or packed again at every start."""
    expected = load(directory, dtype="float32")
    whole = expected.all_logits(IDS, expected.new_state()).numpy()
    first = logits(opened(directory))
    assert np.abs(first - whole).max() <= 1e-4 * np.abs(whole).max()
    path = packed_path(directory, "float32")
    assert path.is_file()
    monkeypatch.setattr(made_file, "pack_into", None)
    assert np.array_equal(logits(opened(directory)), first)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int8", "int4"])
def test_each_dtype_has_a_file_of_its_own(directory, dtype):
    """Catches a dtype that is read from the weights of another, or that is not what it says."""
    runner = opened(directory, dtype)
    assert (runner.facts.dtype, runner.facts.itemsize) == (
        dtype,
        4 if dtype in ("float32", "float16") else 2,
    )
    assert packed_path(directory, dtype).is_file()
    exact = logits(opened(directory, "float32"))
    found = logits(runner)
    alike = np.corrcoef(found.ravel(), exact.ravel())[0, 1]
    least = {"float32": 0.999999, "float16": 0.99999, "bfloat16": 0.9999, "int8": 0.995}
    assert alike >= least.get(dtype, 0.9)
    assert np.array_equal(found, exact) == (dtype == "float32")


def test_a_stale_library_leaves_all_to_torch(directory, monkeypatch, tmp_path):
    """Catches a library of before an update that ends in a traceback, or in wrong numbers."""
    monkeypatch.setattr(library, "LIBRARY", str(stale_library(tmp_path / "stale.so")))
    assert opened(directory) is None
    with pytest.raises(UsageError, match=r"needs the CPU kernels: .*built from other sources"):
        opened(directory, "int8")
    with pytest.raises(UsageError, match=r"portable cannot be used: .*built from other sources"):
        opened(directory, cpu_features="portable")


def test_other_weights_are_packed_anew(directory):
    """Catches a model that was replaced under its name and still answers as the old one."""
    before = logits(opened(directory))
    shutil.copy(GOLDENS / "llama" / "tied" / "model.safetensors", directory / "again")
    data = bytearray((directory / "again").read_bytes())
    data[-64:] = bytes(64)
    (directory / "model.safetensors").write_bytes(data)
    after = logits(opened(directory))
    assert not np.array_equal(before, after)
    fresh = load(directory, dtype="float32")
    whole = fresh.all_logits(IDS, fresh.new_state()).numpy()
    assert np.abs(after - whole).max() <= 1e-4 * np.abs(whole).max()


@pytest.mark.parametrize("damage", ["cut", "long", "empty", "header"])
def test_a_damaged_file_is_made_anew(directory, damage):
    """Catches half a file that is taken for a model."""
    expected = logits(opened(directory))
    path = packed_path(directory, "float32")
    data = path.read_bytes()
    path.write_bytes(
        {"cut": data[:-1], "long": data + b"x", "empty": b"", "header": b"x" + data[1:]}[damage]
    )
    assert np.array_equal(logits(opened(directory)), expected)
    assert path.read_bytes() == data


def test_a_disk_that_takes_nothing(directory, monkeypatch):
    """Catches a cache without which nothing runs."""
    place = packed_path(directory, "float32").parent
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("in the way")
    runner = opened(directory)
    assert logits(runner).shape == (len(IDS), 61)
    assert stat.S_ISREG(place.stat().st_mode)
    (told,) = runner.notices
    assert told.subject == str(place) and "are not kept, but made at each start" in told.text


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the system reserves nothing")
def test_a_full_disk_is_told_before_the_work(directory, monkeypatch):
    """Catches weights that are packed at each start, and nobody knows why it takes so long."""
    expected = logits(opened(directory, "bfloat16"))
    path = packed_path(directory, "bfloat16")
    size = path.stat().st_size
    for each in path.parent.iterdir():
        each.unlink()

    def full(descriptor: int, begin: int, length: int) -> None:
        assert begin + length == size
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    monkeypatch.setattr(made_file, "pack_into", None)
    runner = opened(directory, "bfloat16")
    assert np.array_equal(logits(runner), expected)
    (told,) = runner.notices
    assert re.search(r"they need \d+ kB of disk, and .+ are free", told.text)
    assert [each.name for each in path.parent.iterdir() if each.suffix != ".lock"] == []


def test_what_packs_as_fast_as_it_is_hashed(directory, monkeypatch):
    """Catches minutes of hashing at the first start, and a file that was moved run unseen."""
    monkeypatch.setattr(opening, "_SMALL", 0)
    monkeypatch.setattr(identity, "digest", None)
    expected = logits(opened(directory))
    path, before = packed_path(directory, "float32"), made_file.pack_into
    data = path.read_bytes()
    packed = []
    monkeypatch.setattr(made_file, "pack_into", lambda *a, **k: packed.append(1) or before(*a, **k))
    assert np.array_equal(logits(opened(directory)), expected) and not packed
    # The same bytes, but none that anybody vouches for.
    path.unlink()
    path.write_bytes(data)
    assert np.array_equal(logits(opened(directory)), expected) and packed == [1]
    assert np.array_equal(logits(opened(directory)), expected) and packed == [1]
    assert path.read_bytes() == data


@pytest.mark.parametrize("dtype", ["auto", "int8", "float16"])
def test_weights_in_a_form_that_nobody_knows(directory, dtype):
    """Catches numbers that are taken for others, or handed on to torch without a word."""
    config = json.loads((directory / "config.json").read_text())
    quantised = config | {"quantization_config": {"quant_method": "hqq"}}
    (directory / "config.json").write_text(json.dumps(quantised))
    with pytest.raises(ModelError, match=r"'quant_method' .*hqq"):
        opened(directory, dtype)


def test_a_model_that_cannot_fit(directory, monkeypatch):
    """Catches packing for minutes to find out that the memory is too small."""
    monkeypatch.setattr("gptcli.engine.host.memory.available_bytes", lambda _: 20_000)
    monkeypatch.setattr(made_file, "pack_into", None)
    with pytest.raises(ResourceError, match=r"needs \d+ kB of memory for its weights in int8"):
        opened(directory, "int8")


def test_a_packed_file_that_cannot_fit(directory, monkeypatch):
    """Catches weights that are mapped and then read from the disk anew for every token."""
    opened(directory, "int8")
    monkeypatch.setattr("gptcli.engine.host.memory.available_bytes", lambda _: 20_000)
    with pytest.raises(ResourceError, match=r"weights in int8 and .* 20 kB are free on cpu"):
        opened(directory, "int8")


def test_instructions(directory):
    """Catches a wish that is not heard, and one that cannot be that goes to torch in silence."""
    assert opened(directory, cpu_features="none") is None
    assert opened(directory, cpu_features="portable").model.library.instructions == "portable"
    missing = next(name for name in FEATURES[1:] if name not in SETS)
    with pytest.raises(UsageError, match=f"--cpu-features: {missing}"):
        opened(directory, cpu_features=missing)


@pytest.mark.parametrize(
    ("dtype", "features", "rounded", "exact"),
    [
        ("float32", "portable", None, None),
        ("bfloat16", "portable", "float32", "float32"),
        ("bfloat16", "avx512bf16", None, "float32"),
        ("int8", "portable", "int16", "float32"),
        ("int4", "portable", "int16", "float32"),
    ],
)
def test_what_activations_are_is_told(directory, dtype, features, rounded, exact):
    """Catches a precision that is not the one that the numbers have."""
    if features not in SETS:
        pytest.skip(f"this processor has no {features}")
    fast = opened(directory, dtype, cpu_features=features)
    slow = opened(directory, dtype, cpu_features=features, activations="float32")
    assert (fast.facts.activations, slow.facts.activations) == (rounded, exact)
    assert np.array_equal(logits(fast), logits(slow)) == (rounded == exact)


def test_without_kernels(directory, monkeypatch):
    """Catches an installation without a compiler in which nothing runs."""

    def none(_: str) -> None:
        raise KernelsUnavailableError("they were not built when gptcli was installed")

    monkeypatch.setattr(choice, "open_library", none)
    assert opened(directory) is None
    with pytest.raises(UsageError, match="needs the CPU kernels: they were not built"):
        opened(directory, "int4")


def test_adapters_and_quantised_weights_do_not_meet(directory):
    """Catches an adapter that is left out without a word."""
    with pytest.raises(UsageError, match="do not serve where adapters are added"):
        open_runner(directory, dtype="int8", adapter=(AdapterRef(directory),))


@pytest.mark.parametrize("dtype", ["int8", "int4"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e6])
def test_a_weight_that_no_block_holds(directory, dtype, bad):
    """Catches a broken weight that a model is packed with, and half a file that it leaves."""
    stored = load_file(directory / "model.safetensors")
    stored["model.layers.1.mlp.up_proj.weight"][2, 3] = bad
    (directory / "model.safetensors").unlink()
    save_file(stored, directory / "model.safetensors")
    with pytest.raises(ModelError, match=r"layers\.1\.mlp\.up\.weight: has numbers"):
        opened(directory, dtype)
    place = packed_path(directory, dtype)
    assert not place.exists() and not list(place.parent.glob("*tmp*"))
    opened(directory, "float32")


def test_rounding_is_the_same_by_all_instructions(directory):
    """Catches weights that depend on which instructions happened to pack them."""
    place, found = packed_path(directory, "int4"), set()
    for features in SETS:
        opened(directory, "int4", cpu_features=features)
        found.add(place.read_bytes())
        place.unlink()
    assert len(found) == 1


def test_int4_without_a_disk_is_the_same(directory, monkeypatch):
    """Catches weights that are rounded otherwise where they cannot be kept."""
    kept = logits(opened(directory, "int4"))
    place = packed_path(directory, "int4")
    place.unlink()

    def full(*given, **flags):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(calibration, "for_once", full)
    runner = opened(directory, "int4")
    assert np.array_equal(logits(runner), kept) and not runner.notices
    place.unlink()
    monkeypatch.setattr(made_file, "make", full)
    runner = opened(directory, "int4")
    assert np.array_equal(logits(runner), kept) and not place.exists()
    assert any("not kept" in each.text for each in runner.notices)
