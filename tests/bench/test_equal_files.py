"""Files that both run as they are, and what is read of llama-perplexity, without llama.cpp."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf.quants import dequantize

from tests.bench.quality import base, llama_perplexity
from tests.bench.weights import equal_files
from tests.bench.weights.equal_files import Shape

SHAPE = Shape("qwen3", 8, 256, 512, 2, 1, 128, 300, True, 1e6)
#: What llama-perplexity of b11434 prints with --kl-divergence.
PRINTED = """
====== Perplexity statistics ======
Mean PPL(Q)                   :   9.793996 ±   0.502150
Mean PPL(base)                :   9.778531 ±   0.499702
Mean PPL(Q)/PPL(base)         :   1.001582 ±   0.001812

====== KL divergence statistics ======
Mean    KLD:   0.003816 ±   0.000136
Maximum KLD:   0.109034

====== Token probability statistics ======
Mean    Δp: -0.027 ± 0.041 %
Same top p: 96.618 ± 0.400 %
"""


def tokenizer(path: Path) -> Path:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["a", "b"])
    writer.add_token_types([1, 3])
    writer.add_eos_token_id(1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


def test_random_blocks_are_those_of_a_shape(tmp_path):
    """Catches blocks that are no numbers, numbers of no model's size, and a mix that is none."""
    made = tmp_path / "Q4_K_M.gguf"
    equal_files.random(SHAPE, tokenizer(tmp_path / "tokenizer.gguf"), made)
    read = gguf.GGUFReader(made)
    assert len(read.fields["tokenizer.ggml.tokens"].contents()) == 300
    assert read.fields["tokenizer.ggml.eos_token_id"].contents() == 1
    found = {tensor.name: tensor for tensor in read.tensors}
    kinds = {name: tensor.tensor_type.name for name, tensor in found.items()}
    assert kinds["token_embd.weight"] == "Q6_K" and kinds["blk.1.attn_q.weight"] == "Q4_K"
    wide = [layer for layer in range(8) if kinds[f"blk.{layer}.ffn_down.weight"] == "Q6_K"]
    assert wide == [0, 3, 6, 7]
    assert found["blk.0.ffn_down.weight"].shape.tolist() == [512, 256]
    for tensor in read.tensors:
        numbers = dequantize(tensor.data, tensor.tensor_type)
        if numbers.ndim == 2:
            assert 0.01 < numbers.std() < 0.04 and abs(numbers.mean()) < 0.006, tensor.name


def test_float32_has_the_same_numbers_and_settings(tmp_path):
    """Catches rounding on the way to what all types are held to, and settings that are lost."""
    source, exact = tmp_path / "Q4_K_M.gguf", tmp_path / "F32.gguf"
    equal_files.random(SHAPE, tokenizer(tmp_path / "tokenizer.gguf"), source)
    equal_files.exact(source, exact)
    before, after = gguf.GGUFReader(source), gguf.GGUFReader(exact)
    for one, other in zip(before.tensors, after.tensors, strict=True):
        assert one.name == other.name and one.shape.tolist() == other.shape.tolist()
        np.testing.assert_array_equal(dequantize(one.data, one.tensor_type), other.data)
    for name in ("qwen3.rope.freq_base", "tokenizer.ggml.tokens", "qwen3.block_count"):
        assert before.fields[name].contents() == after.fields[name].contents()
    assert after.fields["general.file_type"].contents() == 0


def test_what_llama_perplexity_keeps(tmp_path):
    """Catches the wrong half of a chunk, a row off by its head, and another file's bytes."""
    path, row = tmp_path / "a.kld", 2 * 3 + 4
    tokens = np.arange(16, dtype=np.int32)
    places = np.zeros((2 * 3, row), np.uint16)
    places[:, :4] = np.array([0.5, -16.0], np.float32).view(np.uint16)
    places[:, 4:9] = np.arange(30).reshape(6, 5)
    head = np.array([8, 5, 2], np.int32).tobytes()
    path.write_bytes(b"_logits_" + head + tokens.tobytes() + places.tobytes())
    read = base.read(path)
    assert (read.context, read.vocab, read.first, read.scored) == (8, 5, 4, 3)
    assert read.chunks.tolist() == tokens.reshape(2, 8).tolist()
    assert next(read.logprobs(1)).tolist() == [-8.5, -8.0, -7.5, -7.0, -6.5]
    path.write_bytes(b"GGUF" + bytes(20))
    with pytest.raises(ValueError, match="not a base"):
        base.read(path)


def test_what_llama_perplexity_prints():
    """Catches the base's figures in place of the file's."""
    found = llama_perplexity.read(PRINTED)
    assert (found.perplexity, found.divergence) == (9.793996, 0.003816)
    assert found.agreement == pytest.approx(0.96618)
    with pytest.raises(ValueError, match="KLD"):
        llama_perplexity.read(PRINTED.replace("KLD", "KL"))
