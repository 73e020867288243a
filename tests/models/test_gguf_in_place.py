"""The index of a file that is run in place: whom it is obeyed from, and what it is held to."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind

from gptcli import models
from gptcli.engine.describe import describe
from gptcli.errors import ModelError, ResourceError
from gptcli.formats.gguf import index
from gptcli.models.gguf import model as gguf_model
from gptcli.text.tokenizer import Tokenizer
from tests.cli.helpers import run
from tests.engine.cpu.helpers import needs_kernels
from tests.engine.helpers import GOLDENS, golden_of
from tests.engine.weights import adapters
from tests.models import gguf_export
from tests.models.test_gguf_blocks import in_place
from tests.models.test_gguf_goldens import add_tokenizer
from tests.opening import load, open_kernels
from tests.tasks import ended

NAME = "model.layers.0.mlp.up_proj.weight"
QUERY = "model.layers.0.self_attn.q_proj.weight"
OTHERWISE = ["granitemoehybrid/mamba", "nemotron_h/latent", "falcon_h1/gate_first"]
OTHERWISE += ["gemma4_text/mixture", "laguna/mixed", "llama4_text/published", "lfm2_moe/plain"]
BY_TURNS = ["qwen3_5_text/plain", "qwen3_5_moe_text/alone", "qwen3_next/plain"]


@pytest.fixture
def directory(tmp_path: Path, write_llama) -> Path:
    write_llama(tmp_path / "x.gguf", Kind.Q8_0)
    return in_place(tmp_path / "x.gguf")


def stored(directory: Path) -> dict[str, Any]:
    return dict(describe(directory).stored.tensors)


def rewritten(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    found = json.loads((directory / index.NAME).read_text())
    change(found)
    (directory / index.NAME).write_text(json.dumps(found))


def test_the_directory_is_small(tmp_path: Path, directory: Path) -> None:
    """Catches a copy of the weights beside the file."""
    others = [path for path in directory.iterdir() if path.name != "tokenizer.json"]
    found = sum(path.stat().st_size for path in others)
    assert found < 16_000 < (tmp_path / "x.gguf").stat().st_size
    assert ended(models.verify(ended(models.obtain(str(tmp_path / "x.gguf"))))).ok


def test_a_stranger_s_index_leads_nowhere(tmp_path: Path, directory: Path) -> None:
    """Catches a model directory that has any file of this machine read as weights."""
    stranger = tmp_path / "stranger"
    shutil.copytree(directory, stranger)
    with pytest.raises(ModelError, match=r"names .*x\.gguf, which is not a file beside it"):
        stored(stranger)
    done = run("complete", "-m", str(stranger), "-n", "1", "a")
    assert done.code == 3 and done.err.count("\n") == 1
    # Beside it, the same file is no secret; a link to it is.
    rewritten(stranger, lambda said: said["files"][0].update(path="x.gguf"))
    rewritten(stranger, lambda said: said.update(stamp=None))
    (stranger / "x.gguf").symlink_to(tmp_path / "x.gguf")
    with pytest.raises(ModelError, match="not a file beside it"):
        stored(stranger)
    (stranger / "x.gguf").unlink()
    shutil.copy(tmp_path / "x.gguf", stranger / "x.gguf")
    assert stored(stranger).keys() == stored(directory).keys()


def _gone(path: Path) -> None:
    path.unlink()


def _longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def _other(path: Path) -> None:
    """The same size and time."""
    said = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(said.st_atime_ns, said.st_mtime_ns))


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [(_gone, "is missing"), (_longer, "changed"), (_other, "changed"), (_pipe, "is not a file")],
)
def test_a_file_that_is_no_longer_what_it_was(tmp_path, directory, change, words):
    """Catches offsets that point into another file, whose numbers nobody would question."""
    stored(directory)
    change(tmp_path / "x.gguf")
    with pytest.raises(ModelError, match=rf"x\.gguf: .*{words}"):
        stored(directory)
    done = run("complete", "-m", directory.name, "-n", "1", "a")
    assert done.code == 3 and done.err.count("\n") == 1 and words in done.err


def test_a_changed_file_is_a_model_again(tmp_path: Path, directory: Path, write_llama) -> None:
    """Catches a file that cannot be run after it was replaced, by cp -p for one."""
    before = describe(directory).stored.stamp
    _other(tmp_path / "x.gguf")
    assert models.find(str(tmp_path / "x.gguf")) is None
    again = in_place(tmp_path / "x.gguf")
    assert again == directory and describe(again).stored.stamp != before


def _tensor(name: str, **fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda said: said["tensors"][name].update(fields)


def _rows(place: int, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda said: said["tensors"][NAME]["rows"][0].__setitem__(place, value)


BROKEN = {
    "no files": lambda said: said.pop("files"),
    "files are text": lambda said: said.update(files="x"),
    "a size that is none": lambda said: said["files"][0].update(size=-1),
    "no tensors": lambda said: said.update(tensors=[]),
    "another file": _rows(0, 1),
    "a file before the first": _rows(0, -1),
    "rows": _rows(2, 95),
    "columns": _rows(3, 63),
    "no columns": _rows(3, 0),
    "beyond the end": _rows(5, 1 << 40),
    "backwards": _rows(4, 1 << 30),
    "a number of bytes": _rows(5, True),
    "endless": _rows(2, 1 << 70),
    "no rows": _tensor(NAME, rows=[]),
    "shape": _tensor(NAME, shape=[96, 65]),
    "part": _tensor(NAME, part=[90, 190]),
    "part of one": _tensor(NAME, part=[1]),
    "order": _tensor(QUERY, rope=7),
    "no heads": _tensor(QUERY, rope=0),
    "groups": _tensor(NAME, groups=[5, 5]),
    "stacks": _tensor(NAME, stacks=[5, 1]),
    "no stacks": _tensor(NAME, stacks=[0, 1]),
    "parts": _tensor(NAME, parts=[5, 2]),
    "no parts": _tensor(NAME, parts=[2, 0]),
    "shift": _tensor(NAME, shift="one"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_an_index_that_does_not_fit(directory: Path, what: str) -> None:
    """Catches an exception of Python's or numpy's, and what is read from beside the file."""
    rewritten(directory, BROKEN[what])
    with pytest.raises(ModelError, match=r"gguf\.json: is not an index of gptcli's"):
        stored(directory)


@needs_kernels
def test_pairs_of_experts_stand_one_above_the_other(tmp_path: Path) -> None:
    """Catches gate and up that take turns, or are taken for each other, by torch or the kernels."""
    case = "granitemoe/untied"
    gguf_export.export(GOLDENS / case, tmp_path / "x.gguf", add_tokenizer)
    directory = in_place(tmp_path / "x.gguf")
    ids, expected = (golden_of(case)[name][0] for name in ("ids", "logits"))
    for opened in (load, open_kernels):
        runner = opened(directory, dtype="float32")
        ours = np.asarray(runner.all_logits(ids.tolist(), runner.new_state()))
        assert np.abs(ours - expected.numpy()).max() <= 3e-5


def test_a_large_tokenizer_is_packed(tmp_path: Path, write_llama, monkeypatch) -> None:
    """Catches a vocabulary that takes a tenth of a small model's file, and one that is lost so."""
    write_llama(tmp_path / "x.gguf", Kind.Q8_0)
    plain = in_place(tmp_path / "x.gguf")
    text = (plain / "tokenizer.json").read_bytes()
    ids = Tokenizer(plain).encode("hello world")
    models.remove(str(tmp_path / "x.gguf"))
    monkeypatch.setattr(gguf_model, "_LARGE", 1000)
    packed = in_place(tmp_path / "x.gguf")
    file = packed / "tokenizer.json.gz"
    assert not (packed / "tokenizer.json").exists() and file.stat().st_size < len(text) / 2
    assert gzip.decompress(file.read_bytes()) == text
    assert Tokenizer(packed).encode("hello world") == ids
    found = ended(models.obtain(str(tmp_path / "x.gguf")))
    assert ended(models.verify(found)).ok
    # Others read it as it is.
    done = run("models", "merge", str(tmp_path / "x.gguf"), "-o", str(tmp_path / "out"))
    assert done.code == 0 and (tmp_path / "out" / "tokenizer.json").read_bytes() == text
    data = file.read_bytes()
    for broken in (data[:-9], data + b"x", b"", text, data[:100] + bytes(100) + data[200:]):
        file.write_bytes(broken)
        with pytest.raises(ModelError, match=r"tokenizer\.json\.gz: cannot be read"):
            Tokenizer(packed)
    with gzip.open(file, "wb", compresslevel=1) as bomb:
        for _ in range(257):
            bomb.write(bytes(1 << 20))
    with pytest.raises(ModelError, match="is larger than any tokenizer should be"):
        Tokenizer(packed)


def test_an_index_is_bounded(directory: Path) -> None:
    """Catches gigabytes that are parsed to find out that they are nonsense."""
    with (directory / index.NAME).open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(ModelError, match="larger than"):
        stored(directory)


@needs_kernels
@pytest.mark.parametrize("value", [0x7C00, 0x7E00, 0xFC00])
def test_scales_that_are_no_numbers(tmp_path: Path, write_llama, value: int) -> None:
    """Catches weights that make every answer NaN, or are clipped to something."""
    write_llama(tmp_path / "x.gguf", Kind.Q8_0)
    directory = in_place(tmp_path / "x.gguf")
    rows = stored(directory)[NAME].taken.sources[0]
    with (tmp_path / "x.gguf").open("r+b") as file:
        file.seek(rows.begin + 34)
        file.write(np.uint16(value).tobytes())
    directory = in_place(tmp_path / "x.gguf")
    with pytest.raises(ModelError, match=r"up_proj\.weight has a scale that is not a finite"):
        open_kernels(directory, threads=1, ctx_size=32)
    done = run("complete", "-m", str(tmp_path / "x.gguf"), "-n", "1", "a")
    assert done.code == 3 and done.err.count("\n") == 1
    kept = directory.parents[1] / "packed"
    assert [path for path in kept.iterdir() if path.suffix != ".lock"] == []


@pytest.mark.parametrize("kernels", [pytest.param(True, marks=needs_kernels), False])
def test_one_that_cannot_fit_is_named(
    tmp_path: Path, directory: Path, monkeypatch, kernels
) -> None:
    """Catches a refusal that names a directory of gptcli's own, of which its user knows nothing."""
    monkeypatch.setattr("gptcli.engine.host.memory.available_bytes", lambda _: 20_000)
    with pytest.raises(ResourceError, match=r"weights in .* 20 kB are free on cpu") as caught:
        open_kernels(directory) if kernels else load(directory)
    assert caught.value.subject == str(tmp_path / "x.gguf")


@needs_kernels
@pytest.mark.parametrize("case", [*BY_TURNS, *OTHERWISE])
def test_what_changed_places_is_read_in_place(tmp_path: Path, case: str) -> None:
    """Catches memories that read the keys of others, strengths taken for steps, gates for ups."""
    gguf_export.export(GOLDENS / case, tmp_path / "x.gguf", add_tokenizer)
    directory = in_place(tmp_path / "x.gguf")
    ids, expected = (golden_of(case)[name][0] for name in ("ids", "logits"))
    for opened in (load, open_kernels):
        runner = opened(directory, dtype="float32")
        found = runner.all_logits(ids.tolist(), runner.new_state())
        assert np.abs(np.asarray(found) - expected.numpy()).max() <= 3e-5


def test_heads_by_turns_are_written_by_convert_alone(tmp_path: Path) -> None:
    """Catches a directory that transformers would read with memories exchanged, and an adapter
    whose rows are added to those of other heads.
    """
    pytest.importorskip("peft")
    gguf_export.export(GOLDENS / BY_TURNS[0], tmp_path / "x.gguf", add_tokenizer, Kind.Q8_0)
    done = run("models", "merge", str(tmp_path / "x.gguf"), "-o", str(tmp_path / "out"))
    assert done.code == 3 and "heads by turns" in done.err and not (tmp_path / "out").exists()
    adapter = adapters.make("plain", tmp_path / "a")
    done = run("complete", "-m", str(tmp_path / "x.gguf"), "--adapter", str(adapter), "a")
    assert done.code == 3 and "heads by turns" in done.err and "models convert" in done.err
