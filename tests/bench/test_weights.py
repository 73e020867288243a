"""The benchmark's weights are one model in two formats, and its tokenizer is GPT-2's form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import ByteLevel
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig

from gptcli.models.gguf.convert import convert
from tests.bench.weights import checkpoints, gguf_files
from tests.bench.weights.places import Places
from tests.engine.model.published_gemma4 import GEMMA4
from tests.engine.model.published_later import LATER
from tests.opening import load


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    """vocab.json and merges.txt of a few merges, as GPT-2's are."""
    directory = tmp_path / "tokenizer"
    directory.mkdir()
    merges = ["h e", "l l", "he ll", "hell o", "Ġ w", "o r"]
    tokens = [*sorted(ByteLevel.alphabet()), *(merge.replace(" ", "") for merge in merges)]
    ids = {token: at for at, token in enumerate([*tokens, "<|endoftext|>"])}
    (directory / "vocab.json").write_text(json.dumps(ids))
    (directory / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    return directory


SIZES = {"vocab_size": 300, "bos_token_id": 262, "eos_token_id": 262}
CONFIGS = {
    "gpt-2": GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=64, **SIZES),
    "llama": LlamaConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        tie_word_embeddings=True,
        **SIZES,
    ),
}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", CONFIGS)
def test_both_formats_hold_the_same_model(tmp_path, tokenizer, drain, kind, dtype):
    """Catches peers that are measured on other numbers, another shape or another tokenizer."""
    places = Places(tmp_path)
    checkpoints.random_model(places.checkpoint, CONFIGS[kind], tokenizer)
    gguf_files.write(places, dtype, "gpt-2")
    back = tmp_path / "back"
    back.mkdir()
    drain(convert(places.gguf(dtype), back, "test", "a test", None))
    ours, theirs = load(places.checkpoint).decoder, load(back).decoder
    with torch.inference_mode():
        for (name, mine), (_, other) in zip(
            ours.named_parameters(), theirs.named_parameters(), strict=True
        ):
            assert torch.equal(mine.float(), other.float()), name
    for text in ("hello world", "<|endoftext|>hello"):
        mine, other = (
            Tokenizer.from_file(str(place / "tokenizer.json"))
            for place in (places.checkpoint, back)
        )
        assert mine.encode(text).ids == other.encode(text).ids


def test_random_weights_are_the_same_each_time(tmp_path, tokenizer):
    """Catches a ratio that compares runs on different weights."""
    for name in ("one", "two"):
        checkpoints.random_model(tmp_path / name, CONFIGS["llama"], tokenizer)
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert {tensor.dtype for tensor in one.values()} == {torch.bfloat16}


def test_the_vocabulary_is_filled_up(tmp_path, tokenizer):
    """Catches ids that have no token, which cannot be decoded, and text that meets the filling."""
    checkpoints.random_model(tmp_path / "x", CONFIGS["llama"], tokenizer)
    made = Tokenizer.from_file(str(tmp_path / "x" / "tokenizer.json"))
    assert made.get_vocab_size() == 300
    assert made.id_to_token(299) == "<|unused 299|>"
    assert max(made.encode("<|unused 299|> hello world").ids) < 262
    assert made.encode("<|endoftext|>").ids == [262]
    assert made.decode(made.encode("hello, world").ids) == "hello, world"


def test_shapes_are_the_published_ones():
    """Catches a mistyped size: 124 million parameters and 1.24 billion are what is compared."""
    counts = {}
    for name, recipe in checkpoints.RECIPES.items():
        if recipe.config is not None:
            with torch.device("meta"):
                counts[name] = AutoModelForCausalLM.from_config(recipe.config()).num_parameters()
    assert counts == {
        # Beside those, a scale of each layer.
        "gemma4-e2b": GEMMA4["Gemma-4-E2B"][1] - 35,
        "qwen3.5-0.8b": 752_393_024,
        "lfm2-1.2b": LATER["LFM2-1.2B"][1],
        "gpt2-124m": 124_439_808,
        "llama-1b": 1_235_814_400,
    }
