"""Tiny GGUF files, made from transformers' own models as llama.cpp's converter makes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from tests.models import gguf_export

VOCABULARY = 288


@pytest.fixture(autouse=True)
def private_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here may touch the user's models or caches, or reach a network."""
    monkeypatch.setenv("GPTCLI_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


def bytes_to_unicode() -> list[str]:
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return [chr(byte) for byte in shown] + [chr(256 + at) for at in range(len(hidden))]


def add_tokenizer(writer: gguf.GGUFWriter, pre: str = "gpt-2") -> None:
    """256 bytes, a few merges, and control tokens up to VOCABULARY."""
    tokens = bytes_to_unicode()
    merges = ["h e", "l l", "he ll", "hell o", "Ġ w", "o r", "Ġw or", "l d", "Ġwor ld", "1 2"]
    tokens += [merge.replace(" ", "") for merge in merges]
    control = VOCABULARY - len(tokens)
    types = [1] * len(tokens) + [3] * control
    tokens += [f"<|control_{at}|>" for at in range(control)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(VOCABULARY - 2)
    writer.add_eos_token_id(VOCABULARY - 1)


def add_tensors(
    writer: gguf.GGUFWriter,
    config: dict[str, Any],
    state: dict[str, Any],
    kind: gguf.GGMLQuantizationType,
) -> None:
    """Writes a state dict by the exporter's rules: matrices as `kind`, vectors as F32."""
    arrays = {name: tensor.detach().float().numpy() for name, tensor in state.items()}
    for name, array in gguf_export.tensors(config, arrays):
        if array.ndim > 1:
            data = gguf.quants.quantize(array, kind)
            writer.add_tensor(name, data, raw_dtype=kind)
        else:
            writer.add_tensor(name, array)


def finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def rounded(state: dict[str, Any], kind: gguf.GGMLQuantizationType) -> dict[str, Any]:
    """The state as the file's type holds it, so that what is compared exactly was representable."""
    import torch

    name = {"F16": torch.float16, "BF16": torch.bfloat16}.get(kind.name, torch.float32)
    return {key: tensor.to(name) for key, tensor in state.items() if key != "lm_head.weight"} | (
        {"lm_head.weight": state["lm_head.weight"].to(name)} if "lm_head.weight" in state else {}
    )


@pytest.fixture(scope="session")
def write_llama() -> Callable[..., dict[str, Any]]:
    """Writes a random tiny llama as GGUF; returns the state dict it holds.

    only: which of its tensors, by their place, where others are in other parts.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    def write(
        path: Path,
        kind: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.F32,
        tied: bool = True,
        pre: str = "gpt-2",
        extra: Callable[[gguf.GGUFWriter], None] | None = None,
        only: Callable[[int], bool] | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        torch.manual_seed(1)
        config = LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=64,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=128,
            tie_word_embeddings=tied,
            **options,
        )
        state = dict(LlamaForCausalLM(config).state_dict())
        for name, tensor in state.items():
            # Norms of all ones and biases of all zeros would hide a mistake.
            if tensor.ndim == 1:
                state[name] = tensor + torch.randn_like(tensor) / 8
        if tied:
            del state["lm_head.weight"]
        state = rounded(state, kind)
        writer = gguf.GGUFWriter(path, "llama")
        writer.add_block_count(2)
        writer.add_context_length(128)
        writer.add_embedding_length(64)
        writer.add_feed_forward_length(96)
        writer.add_head_count(4)
        writer.add_head_count_kv(2)
        writer.add_layer_norm_rms_eps(1e-5)
        writer.add_rope_freq_base(10000.0)
        writer.add_rope_dimension_count(16)
        writer.add_vocab_size(VOCABULARY)
        add_tokenizer(writer, pre)
        if extra:
            extra(writer)
        shape = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
        held = {key: value for at, (key, value) in enumerate(state.items()) if not only or only(at)}
        add_tensors(writer, {"model_type": "llama", **shape}, held, kind)
        finish(writer)
        return state

    return write


@pytest.fixture(scope="session")
def write_gpt2() -> Callable[..., dict[str, Any]]:
    """Writes a random tiny gpt2 as GGUF; returns the state dict it holds."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    def write(
        path: Path, kind: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.F32
    ) -> dict[str, Any]:
        torch.manual_seed(2)
        config = GPT2Config(vocab_size=VOCABULARY, n_embd=64, n_layer=2, n_head=4, n_positions=128)
        state = dict(GPT2LMHeadModel(config).state_dict())
        del state["lm_head.weight"]
        for name, tensor in state.items():
            if tensor.ndim == 1:
                state[name] = tensor + torch.randn_like(tensor) / 8
        state = rounded(state, kind)
        writer = gguf.GGUFWriter(path, "gpt2")
        writer.add_block_count(2)
        writer.add_context_length(128)
        writer.add_embedding_length(64)
        writer.add_feed_forward_length(256)
        writer.add_head_count(4)
        writer.add_layer_norm_eps(1e-5)
        add_tokenizer(writer)
        add_tensors(writer, {"model_type": "gpt2", "n_layer": 2}, state, kind)
        finish(writer)
        return state

    return write


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    """A user's own small model directory."""
    import json

    from safetensors.numpy import save_file

    path = tmp_path / "mine"
    path.mkdir()
    config = {"model_type": "gpt2", "n_layer": 2, "n_head": 4, "n_embd": 8, "n_ctx": 16}
    (path / "config.json").write_text(json.dumps(config))
    (path / "tokenizer.json").write_text("{}")
    save_file({"a": np.zeros((3, 5), np.float32)}, path / "model.safetensors")
    return path
