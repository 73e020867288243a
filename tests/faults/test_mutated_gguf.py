"""GGUF files whose headers, fields and tensors say what they like; and sparse ones."""

from __future__ import annotations

import random
import shutil
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gptcli.errors import ModelError
from gptcli.formats.gguf import header
from gptcli.models.gguf import in_place
from gptcli.models.gguf.convert import convert
from tests.faults import mutations
from tests.faults.gguf_files import ARRAY, STRING, Field, File, Tensor, mutant
from tests.faults.mutants import guilty, outcomes
from tests.faults.scale import seeds
from tests.models.conftest import bytes_to_unicode

_WIDTH, _HIDDEN, _HEADS = 16, 24, 2


def tiny() -> File:
    """A Llama of one layer, with a byte-level tokenizer of 256 letters, a merge and two marks."""
    rng = np.random.default_rng(0)
    texts = [*bytes_to_unicode(), "he", "<|end|>", "<|begin|>"]
    tokens = [each.encode() for each in texts]
    types = [1] * 257 + [3, 3]

    def matrix(name: str, rows: int, columns: int) -> Tensor:
        data = rng.standard_normal((rows, columns)).astype(np.float32)
        return Tensor(f"{name}.weight".encode(), (columns, rows), 0, data.tobytes())

    def norm(name: str) -> Tensor:
        data = np.ones(_WIDTH, np.float32)
        return Tensor(f"{name}.weight".encode(), (_WIDTH,), 0, data.tobytes())

    def count(key: str, value: int) -> Field:
        return Field(f"llama.{key}".encode(), 4, value)

    fields = [
        Field(b"general.architecture", STRING, b"llama"),
        Field(b"general.name", STRING, b"tiny"),
        count("block_count", 1),
        count("context_length", 32),
        count("embedding_length", _WIDTH),
        count("feed_forward_length", _HIDDEN),
        count("attention.head_count", _HEADS),
        count("attention.head_count_kv", 1),
        Field(b"llama.attention.layer_norm_rms_epsilon", 6, 1e-5),
        Field(b"llama.rope.freq_base", 6, 10000.0),
        count("rope.dimension_count", _WIDTH // _HEADS),
        Field(b"tokenizer.ggml.model", STRING, b"gpt2"),
        Field(b"tokenizer.ggml.pre", STRING, b"gpt-2"),
        Field(b"tokenizer.ggml.tokens", ARRAY, (STRING, tokens)),
        Field(b"tokenizer.ggml.token_type", ARRAY, (5, types)),
        Field(b"tokenizer.ggml.merges", ARRAY, (STRING, [b"h e"])),
        Field(b"tokenizer.ggml.bos_token_id", 4, 258),
        Field(b"tokenizer.ggml.eos_token_id", 4, 257),
    ]
    size = _WIDTH // _HEADS
    tensors = [
        matrix("token_embd", len(tokens), _WIDTH),
        norm("output_norm"),
        norm("blk.0.attn_norm"),
        matrix("blk.0.attn_q", _WIDTH, _WIDTH),
        matrix("blk.0.attn_k", size, _WIDTH),
        matrix("blk.0.attn_v", size, _WIDTH),
        matrix("blk.0.attn_output", _WIDTH, _WIDTH),
        norm("blk.0.ffn_norm"),
        matrix("blk.0.ffn_gate", _HIDDEN, _WIDTH),
        matrix("blk.0.ffn_up", _HIDDEN, _WIDTH),
        matrix("blk.0.ffn_down", _WIDTH, _HIDDEN),
    ]
    return File(fields, tensors)


def _made(path: Path, to: Path, *, converted: bool = False) -> None:
    """A model directory that has the file in it, or what it is converted to."""
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir()
    if converted:
        for _ in convert(path, to, "tiny", "a test"):
            pass
    else:
        own = Path(shutil.copy(path, to / "model.gguf"))
        in_place.write(own, [own], to, "tiny", "a test")


def test_the_file_itself_is_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All mutants refused for what is wrong with the file that they are made of."""
    monkeypatch.setenv("GPTCLI_DATA_DIR", "/dev/null/nowhere")
    (tmp_path / "x.gguf").write_bytes(tiny().bytes())
    for converted in (False, True):
        _made(tmp_path / "x.gguf", tmp_path / "out", converted=converted)
        mutations.run(tmp_path / "out", random.Random(0))


@pytest.mark.slow
@seeds(50_000, blocks=4)
def test_mutants_of_gguf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cases: range) -> None:
    """A count that is looped over, a size that is multiplied, a type that nobody has."""
    monkeypatch.setenv("GPTCLI_DATA_DIR", "/dev/null/nowhere")
    whole, path = tiny(), tmp_path / "x.gguf"

    def attempt(seed: int) -> None:
        rng = random.Random(seed)
        path.write_bytes(mutant(rng, whole))
        _made(path, tmp_path / "out", converted=seed % 4 == 0)
        mutations.run(tmp_path / "out", rng)

    found = outcomes(attempt, cases)
    assert guilty(found) == []
    broken = sum(outcome.code == 3 for outcome in found)
    assert len(cases) / 2 < broken < len(cases), "nothing was broken, or everything"


def _sparse(path: Path, fields: list[tuple[int, int, int]], names: bytes = b"k%d") -> None:
    """Arrays of (type of item, items, bytes of each in the file), all of them a hole."""
    with path.open("wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, 0, len(fields)))
        for number, (code, items, width) in enumerate(fields):
            key = names % number
            file.write(struct.pack("<Q", len(key)) + key)
            file.write(struct.pack("<IIQ", ARRAY, code, items))
            file.seek(items * width, 1)
        file.truncate(file.tell() + 64)


SPARSE: dict[str, list[tuple[int, int, int]]] = {
    "numbers": [(0, 1 << 24, 1)] * 30,
    "one array of numbers": [(0, 100 << 20, 1)],
    "texts": [(8, 3 << 20, 8)] * 3,
    "arrays": [(9, 1 << 20, 12)] * 3,
    "doubles": [(12, 5 << 20, 8)] * 4,
}


@pytest.mark.parametrize("what", SPARSE)
def test_sparse_files_are_refused_before_they_are_read(tmp_path: Path, what: str) -> None:
    """120 kB on disk that took 15 seconds and 4.6 GB; others more than 90 seconds."""
    path = tmp_path / "x.gguf"
    _sparse(path, SPARSE[what])
    assert path.stat().st_blocks * 512 < 1 << 20, "the fault itself: it is sparse"
    begun = time.process_time()
    with pytest.raises(ModelError):
        header.read(path)
    assert time.process_time() - begun < 2


@pytest.mark.slow
def test_the_largest_vocabulary_is_none_of_them(tmp_path: Path) -> None:
    """A limit that a real model comes near: 262,144 tokens, and twice as many merges."""
    tokens = [b"token %d" % at for at in range(262_144)]
    fields: list[Any] = [
        Field(b"general.architecture", STRING, b"llama"),
        Field(b"tokenizer.ggml.tokens", ARRAY, (STRING, tokens)),
        Field(b"tokenizer.ggml.scores", ARRAY, (6, [0.0] * len(tokens))),
        Field(b"tokenizer.ggml.token_type", ARRAY, (5, [1] * len(tokens))),
        Field(b"tokenizer.ggml.merges", ARRAY, (STRING, [b"a b"] * 2 * len(tokens))),
    ]
    (tmp_path / "x.gguf").write_bytes(File(fields, []).bytes())
    assert len(header.read(tmp_path / "x.gguf").fields["tokenizer.ggml.tokens"]) == len(tokens)
