"""A checkpoint as llama.cpp's files: F32 and BF16 written here, the rest by llama-quantize."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import gguf
from gguf import GGMLQuantizationType, TokenType

from tests.bench.weights.places import GGML_TYPES, Places
from tests.models.gguf_export import export


def write(places: Places, dtype: str, pre: str) -> None:
    """The file of float32 or bfloat16: a checkpoint in bfloat16 stays exact in both."""
    checkpoint, path = places.checkpoint, places.gguf(dtype)
    made = path.with_suffix(".part")

    def add_tokenizer(writer: gguf.GGUFWriter) -> None:
        _add_tokenizer(writer, checkpoint, pre)

    export(checkpoint, made, add_tokenizer, GGMLQuantizationType[GGML_TYPES[dtype]])
    made.rename(path)


def quantise(places: Places, dtype: str, llama_quantize: Path) -> None:
    """The file of int8 or int4, as llama.cpp makes it by itself of the file in bfloat16."""
    path = places.gguf(dtype)
    made = path.with_suffix(".part")
    source = places.gguf("bfloat16")
    command = [str(llama_quantize), str(source), str(made), GGML_TYPES[dtype]]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    made.rename(path)


def _add_tokenizer(writer: gguf.GGUFWriter, checkpoint: Path, pre: str) -> None:
    """A byte-level BPE tokenizer.json in the keys of GGUF."""
    stored = json.loads((checkpoint / "tokenizer.json").read_text(encoding="utf-8"))
    config = json.loads((checkpoint / "config.json").read_text())
    ids = dict(stored["model"]["vocab"])
    special = {token["content"]: token["id"] for token in stored["added_tokens"]}
    ids |= special
    tokens = sorted(ids, key=lambda token: ids[token])
    if [ids[token] for token in tokens] != list(range(config["vocab_size"])):
        raise ValueError(f"{checkpoint}: the tokenizer's ids are not those of the vocabulary")
    types = [TokenType.CONTROL if token in special else TokenType.NORMAL for token in tokens]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    merges = stored["model"]["merges"]
    writer.add_token_merges([each if isinstance(each, str) else " ".join(each) for each in merges])
    writer.add_bos_token_id(config["bos_token_id"])
    # A file names one end; the other words for it llama.cpp finds by their text.
    ends = config["eos_token_id"]
    writer.add_eos_token_id(ends if isinstance(ends, int) else ends[0])
    writer.add_add_bos_token(False)
