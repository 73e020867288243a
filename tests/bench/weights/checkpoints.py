"""Checkpoint directories: the default model's own, and random ones of well-known shapes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma4TextConfig,
    GPT2Config,
    Lfm2Config,
    LlamaConfig,
    PreTrainedConfig,
    Qwen3_5TextConfig,
)

from gptcli import models
from gptcli.backends.local.merging import merge
from tests.tasks import ended


@dataclass(frozen=True)
class Recipe:
    """How a model comes about; `pre`: llama.cpp's word for how its tokenizer splits a text.

    config: the shape of random weights, None for the default model's own. large: only made where it
    is asked for.
    """

    pre: str
    config: Callable[[], PreTrainedConfig] | None = None
    large: bool = False


def _gpt2() -> PreTrainedConfig:
    """GPT-2's smallest: the defaults of its config."""
    return GPT2Config()


def _llama() -> PreTrainedConfig:
    """A Llama of a billion parameters, in the shape of Llama 3.2."""
    return LlamaConfig(
        vocab_size=128256,
        hidden_size=2048,
        intermediate_size=8192,
        num_hidden_layers=16,
        num_attention_heads=32,
        num_key_value_heads=8,
        head_dim=64,
        max_position_embeddings=8192,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 500000.0},
        tie_word_embeddings=True,
        bos_token_id=50256,
        eos_token_id=50256,
    )


def _qwen3_5() -> PreTrainedConfig:
    """The text model of Qwen3.5 0.8B."""
    return Qwen3_5TextConfig(
        vocab_size=248320,
        hidden_size=1024,
        intermediate_size=3584,
        num_hidden_layers=24,
        num_attention_heads=8,
        num_key_value_heads=2,
        head_dim=256,
        linear_num_value_heads=16,
        linear_num_key_heads=16,
        max_position_embeddings=32768,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": 1e7,
            "partial_rotary_factor": 0.25,
        },
        tie_word_embeddings=True,
        bos_token_id=50256,
        eos_token_id=50256,
    )


def _lfm2() -> PreTrainedConfig:
    """LFM2 1.2B."""
    attends = (2, 5, 8, 10, 12, 14)
    return Lfm2Config(
        vocab_size=65536,
        hidden_size=2048,
        intermediate_size=12288,
        num_hidden_layers=16,
        layer_types=["full_attention" if i in attends else "conv" for i in range(16)],
        num_attention_heads=32,
        num_key_value_heads=8,
        max_position_embeddings=32768,
        tie_word_embeddings=True,
        bos_token_id=50256,
        eos_token_id=50256,
    )


def _gemma4() -> PreTrainedConfig:
    """The text model of Gemma 4 E2B: 2.3 of its 4.6 · 10^9 numbers are what layers are told."""
    return Gemma4TextConfig(
        vocab_size=262144,
        vocab_size_per_layer_input=262144,
        hidden_size=1536,
        hidden_size_per_layer_input=256,
        intermediate_size=6144,
        use_double_wide_mlp=True,
        num_hidden_layers=35,
        num_kv_shared_layers=20,
        layer_types=["sliding_attention" if (i + 1) % 5 else "full_attention" for i in range(35)],
        num_attention_heads=8,
        num_key_value_heads=1,
        head_dim=256,
        global_head_dim=512,
        sliding_window=512,
        final_logit_softcapping=30.0,
        max_position_embeddings=32768,
        tie_word_embeddings=True,
        bos_token_id=50256,
        eos_token_id=50256,
    )


RECIPES = {
    "gemma4-e2b": Recipe("gpt-2", _gemma4, large=True),
    "qwen3.5-0.8b": Recipe("gpt-2", _qwen3_5),
    "lfm2-1.2b": Recipe("gpt-2", _lfm2),
    "smollm2": Recipe("smollm"),
    "gpt2-124m": Recipe("gpt-2", _gpt2),
    "llama-1b": Recipe("gpt-2", _llama),
}


def default_model(directory: Path) -> None:
    """The default model's numbers in bfloat16, plain, as every peer can read them."""
    model = ended(models.obtain("smollm2"))
    ended(merge(model, (), directory, dtype="bfloat16"))


def random_model(directory: Path, config: PreTrainedConfig, tokenizer: Path) -> None:
    """Random weights in bfloat16, the same each time, with GPT-2's tokenizer.

    `tokenizer` holds vocab.json and merges.txt.
    """
    torch.manual_seed(0)
    made = directory.with_name(f"{directory.name}.part")
    shutil.rmtree(made, ignore_errors=True)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)  # type: ignore[no-untyped-call]
    model.save_pretrained(made, max_shard_size="8GB")
    (made / "tokenizer.json").write_text(
        json.dumps(_tokenizer_json(tokenizer, config.vocab_size), ensure_ascii=False)
    )
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_prefix_space": False,
        "eos_token": "<|endoftext|>",
        "bos_token": "<|endoftext|>",
        # ctranslate2 wants one.
        "unk_token": "<|endoftext|>",
    }
    (made / "tokenizer_config.json").write_text(json.dumps(settings))
    made.rename(directory)


def _tokenizer_json(tokenizer: Path, size: int) -> dict[str, Any]:
    """GPT-2's tokenizer, filled up to `size` with tokens that no text has."""
    vocabulary = json.loads((tokenizer / "vocab.json").read_text(encoding="utf-8"))
    lines = (tokenizer / "merges.txt").read_text(encoding="utf-8").split("\n")
    merges = [line.split(" ") for line in lines if line and not line.startswith("#version")]
    end = vocabulary["<|endoftext|>"]
    for at in range(len(vocabulary), size):
        vocabulary[f"<|unused {at}|>"] = at
    split = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": True,
    }
    return {
        "version": "1.0",
        "added_tokens": [
            {"id": end, "content": "<|endoftext|>", "special": True, "normalized": False}
            | {"single_word": False, "lstrip": False, "rstrip": False}
        ],
        "normalizer": None,
        "pre_tokenizer": split,
        "post_processor": None,
        "decoder": split,
        "model": {"type": "BPE", "vocab": vocabulary, "merges": merges},
    }
