"""Models of published shapes with random weights, made where they run."""

from __future__ import annotations

from typing import Any

import torch

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import read_spec
from gptcli.engine.model.spec import ModelSpec
from gptcli.engine.torch import packed
from gptcli.engine.torch.decoder import Decoder

#: Of config.json of a llama.
SHAPES: dict[str, dict[str, Any]] = {
    "8B": {
        "vocab_size": 128256,
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "max_position_embeddings": 8192,
        "rope_theta": 500000.0,
    },
    "tiny": {
        "vocab_size": 96,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "rope_theta": 10000.0,
    },
}


def config_of(shape: str) -> dict[str, Any]:
    """What config.json would say."""
    rest = {"model_type": "llama", "hidden_act": "silu", "rms_norm_eps": 1e-5}
    return {**SHAPES[shape], **rest, "tie_word_embeddings": False}


def spec_of(shape: str) -> ModelSpec:
    return read_spec(ConfigFields(shape, config_of(shape)))[1]


def random_decoder(
    shape: str, dtype: torch.dtype, device: torch.device, *, join: bool = True
) -> Decoder:
    """Weights as small as those that training begins with; norms leave all as it is."""
    with torch.device("meta"):
        decoder = Decoder(spec_of(shape)).requires_grad_(False)
    decoder = decoder.to(dtype).to_empty(device=device)
    torch.manual_seed(0)
    for name, each in decoder.named_parameters():
        each.fill_(1.0) if name.endswith("norm.weight") else each.normal_(0, 0.02)
    if join:
        decoder.join()
    return decoder.eval()


def pack(decoder: Decoder, name: str) -> Decoder:
    """The same, its linear layers of weights of `name`, layer by layer."""
    weight = decoder.embedding.weight
    held = {at: each.weight for at, each in decoder.named_modules() if hasattr(each, "weight")}
    for at in packed.replace(decoder, name, weight.dtype, weight.device):
        layer = decoder.get_submodule(at.removesuffix(".weight"))
        codes, scales = layer.packed(held.pop(at.removesuffix(".weight")).float(), weight.dtype)
        layer.weight = torch.nn.Parameter(codes, requires_grad=False)
        layer.scales = torch.nn.Parameter(scales, requires_grad=False)
    return decoder
