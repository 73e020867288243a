"""Every ggml type that the gguf package can read is read bit for bit as it reads it."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Kind
from gguf.constants import GGML_QUANT_SIZES
from safetensors.torch import load_file

from gptcli.errors import ModelError
from gptcli.formats.gguf import header, reading
from gptcli.formats.mapping import MappedFiles
from gptcli.models.gguf.convert import convert
from gptcli.models.gguf.placing import placed
from gptcli.models.gguf.takes import Take
from tests.models.conftest import VOCABULARY

ROWS, BLOCKS = 7, 3


def readable(kind: Kind) -> bool:
    try:
        gguf.quants.dequantize(np.zeros((1, GGML_QUANT_SIZES[kind][1]), np.uint8), kind)
    except NotImplementedError:
        return False
    return True


TYPES = [kind for kind in Kind if readable(kind)]


def stored(kind: Kind) -> np.ndarray:
    """Rows of a type: quantised by the package where it can, else random bytes that are numbers."""
    chance = np.random.default_rng(kind.value)
    block, size = GGML_QUANT_SIZES[kind]
    width = block * BLOCKS if block > 1 else 64
    numbers = chance.normal(size=(ROWS, width)).astype(np.float32)
    try:
        return gguf.quants.quantize(numbers, kind)
    except NotImplementedError:
        pass
    found = np.zeros((ROWS, BLOCKS * size), np.uint8)
    for row in range(ROWS):
        for at in range(BLOCKS):
            # Scales are 16-bit floats somewhere in a block, and may be none.
            while True:
                data = chance.integers(0, 256, (1, size), dtype=np.uint8)
                with np.errstate(all="ignore"):
                    values = gguf.quants.dequantize(data, kind)
                if np.isfinite(values).all() and np.abs(values).max() < 1e4:
                    break
            found[row, at * size : (at + 1) * size] = data
    return found


def write(path: Path, kind: Kind, data: np.ndarray) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tensor("x.weight", data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read(path: Path, **options: object) -> np.ndarray:
    """The tensor as numbers, as they are read chunk by chunk."""
    head = header.read(path)
    info = head.tensors["x.weight"]
    take = Take("x", "x.weight", info.shape, **options)  # type: ignore[arg-type]
    rows = MappedFiles().rows(placed(head, take))
    return np.concatenate([part.numbers() for part in rows.chunks()])


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
def test_numbers_are_the_package_s(tmp_path: Path, kind: Kind, monkeypatch) -> None:
    """Catches a type left out, and blocks of one row taken for another row's."""
    data = stored(kind)
    write(tmp_path / "x.gguf", kind, data)
    wanted = gguf.quants.dequantize(data, kind)
    assert np.unique(wanted).size > 8
    for chunk in (1 << 20, wanted.shape[1] * 2):
        monkeypatch.setattr(reading, "CHUNK", chunk)
        found = read(tmp_path / "x.gguf")
        assert found.dtype == wanted.dtype and found.shape == wanted.shape
        assert found.tobytes() == wanted.tobytes()
        # Another order of rows, and a part of them.
        turned = read(tmp_path / "x.gguf", order=lambda rows: np.arange(rows)[::-1], part=(1, 6))
        assert turned.tobytes() == np.ascontiguousarray(wanted[::-1][1:6]).tobytes()


def test_many_types_are_tested() -> None:
    """Catches a package that registers its types otherwise, with which the rest is empty."""
    assert {"F32", "BF16", "Q4_0", "Q8_0", "Q2_K", "Q6_K", "IQ1_S", "IQ4_XS", "TQ1_0", "MXFP4"} <= {
        kind.name for kind in TYPES
    }


def test_doubles(tmp_path: Path) -> None:
    """Catches F64, which the package itself cannot read."""
    numbers = np.random.default_rng(1).normal(size=(3, 4))
    write(tmp_path / "x.gguf", Kind.F64, numbers)
    assert read(tmp_path / "x.gguf").tobytes() == numbers.tobytes()


@pytest.mark.parametrize("kind", [Kind.IQ2_XS, Kind.IQ3_S, Kind.TQ1_0])
def test_what_is_stored_is_rounded_to_bf16(tmp_path: Path, drain, kind: Kind) -> None:
    """Catches a model of one of these types stored in another dtype, or rounded twice."""
    # Rows of 256 for the K-quants' blocks.
    from tests.models.conftest import add_tokenizer, finish

    chance = np.random.default_rng(2)
    block, size = GGML_QUANT_SIZES[kind]
    writer = gguf.GGUFWriter(tmp_path / "x.gguf", "gpt2")
    writer.add_block_count(1)
    writer.add_context_length(8)
    writer.add_embedding_length(256)
    writer.add_feed_forward_length(256)
    writer.add_head_count(4)
    writer.add_layer_norm_eps(1e-5)
    add_tokenizer(writer)
    wanted = {}
    shapes = {"token_embd": VOCABULARY, "position_embd": 8, "blk.0.attn_qkv": 768}
    shapes |= dict.fromkeys(("blk.0.attn_output", "blk.0.ffn_up", "blk.0.ffn_down"), 256)
    for name, rows in shapes.items():
        one = stored(kind)[:1, :size]
        data = np.tile(one, (rows, 256 // block))
        data[chance.integers(0, rows), :] = np.tile(stored(kind)[1:2, :size], 256 // block)
        writer.add_tensor(f"{name}.weight", data, raw_dtype=kind)
        wanted[name] = torch.from_numpy(gguf.quants.dequantize(data, kind)).to(torch.bfloat16)
        if name.startswith("blk"):
            writer.add_tensor(f"{name}.bias", np.zeros(rows, np.float32))
    for name in ("blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"):
        for part in ("weight", "bias"):
            writer.add_tensor(f"{name}.{part}", np.ones(256, np.float32))
    finish(writer)
    (tmp_path / "out").mkdir()
    drain(convert(tmp_path / "x.gguf", tmp_path / "out", "tiny", "a test"))
    found = load_file(tmp_path / "out" / "model.safetensors")
    assert torch.equal(found["transformer.wte.weight"], wanted["token_embd"])
    assert torch.equal(found["transformer.h.0.attn.c_attn.weight"], wanted["blk.0.attn_qkv"].T)
    assert torch.equal(found["transformer.h.0.mlp.c_fc.weight"], wanted["blk.0.ffn_up"].T)


def test_vectors_of_blocks_are_refused(tmp_path: Path, write_llama, drain, monkeypatch) -> None:
    """Catches an exception of numpy's: elements within a block cannot change places."""
    real = gguf.GGUFWriter.add_tensor

    def altered(self, name, tensor, **options):
        if name == "blk.1.attn_q.bias":
            tensor, options = gguf.quants.quantize(tensor, Kind.Q8_0), {"raw_dtype": Kind.Q8_0}
        real(self, name, tensor, **options)

    monkeypatch.setattr(gguf.GGUFWriter, "add_tensor", altered)
    write_llama(tmp_path / "x.gguf", attention_bias=True)
    (tmp_path / "out").mkdir()
    with pytest.raises(ModelError, match=r"blk\.1\.attn_q\.bias is of type Q8_0"):
        drain(convert(tmp_path / "x.gguf", tmp_path / "out", "tiny", "a test"))


@pytest.mark.parametrize("kind", [Kind.I8, Kind.I32, Kind.Q8_K])
def test_types_that_are_no_weights_are_refused_by_name(
    tmp_path: Path, write_llama, drain, monkeypatch, kind: Kind
) -> None:
    """Catches a type that is found out after gigabytes have been written."""
    real, block = gguf.GGUFWriter.add_tensor, GGML_QUANT_SIZES[kind]
    if block[0] > 64:
        monkeypatch.setitem(GGML_QUANT_SIZES, kind, (64, 64))

    def altered(self, name, tensor, **options):
        if name == "blk.1.ffn_up.weight":
            size = GGML_QUANT_SIZES[kind]
            data = np.zeros((tensor.shape[0], tensor.shape[1] // size[0] * size[1]), np.uint8)
            real(self, name, data, raw_dtype=kind)
        else:
            real(self, name, tensor, **options)

    monkeypatch.setattr(gguf.GGUFWriter, "add_tensor", altered)
    write_llama(tmp_path / "x.gguf")
    (tmp_path / "out").mkdir()
    with pytest.raises(ModelError, match=rf"blk\.1\.ffn_up\.weight is of type {kind.name}"):
        drain(convert(tmp_path / "x.gguf", tmp_path / "out", "tiny", "a test"))
    assert not list((tmp_path / "out").iterdir())
