"""Hybrid checkpoints that read text: goldens of few layers, with more of them and a tokenizer."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

GOLDENS = Path(__file__).parent / "goldens"
#: Which layer of the golden checkpoint stands where: 0 carries a state, 1 has attention.
LAYERS = (0, 0, 1, 0)
#: Of those.
STATES, ATTENDS = [0, 1, 3], [2]


def hybrid(case: str, tiny: Path, directory: Path, *, context: int, template: str) -> Path:
    """A golden of two layers as one of four, of the vocabulary of `tiny` and a longer context."""
    config = json.loads((GOLDENS / case / "config.json").read_text())
    vocab = json.loads((tiny / "config.json").read_text())["vocab_size"]
    kinds = config["layer_types"]
    changed = {
        "vocab_size": vocab,
        "max_position_embeddings": context,
        "num_hidden_layers": len(LAYERS),
        "layer_types": [kinds[layer] for layer in LAYERS],
        "eos_token_id": 0,
        "bos_token_id": None,
        "pad_token_id": None,
    }
    directory.mkdir(parents=True)
    (directory / "config.json").write_text(json.dumps(config | changed))
    (directory / "tokenizer.json").symlink_to(tiny / "tokenizer.json")
    settings = {"eos_token": "<|end|>", "chat_template": template}
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    random, tensors = torch.Generator().manual_seed(3), {}
    for name, tensor in load_file(GOLDENS / case / "model.safetensors").items():
        if len(tensor) == config["vocab_size"]:
            tensors[name] = torch.randn((vocab, tensor.shape[1]), generator=random)
        elif ".layers." not in name:
            tensors[name] = tensor
        for place, layer in enumerate(LAYERS):
            if f".layers.{layer}." in name:
                name_here = name.replace(f".layers.{layer}.", f".layers.{place}.")
                # Not the same layer again.
                noise = torch.randn(tensor.shape, generator=random) * tensor.std().nan_to_num()
                tensors[name_here] = tensor + noise * 0.3 * place
    save_file(tensors, directory / "model.safetensors")
    return directory
