"""Make tests/goldens: tiny random checkpoints, and the logits that transformers computes on them.

Run `python tests/make_goldens.py` (or with case names: `… llama/linear`) after adding a case, and
commit what it writes. Each case is a model directory as transformers saves it, plus
`golden.safetensors` with `ids` (batch, time) and `logits` (batch, time, vocab), in float32.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save_file

GOLDENS = Path(__file__).parent / "goldens"
TIME = 40

GPT2 = {"vocab_size": 61, "n_embd": 24, "n_layer": 2, "n_head": 3, "n_positions": 48}
LLAMA = {
    "vocab_size": 61,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 6,
    "max_position_embeddings": 48,
}
GROUPED = {"num_key_value_heads": 2}

#: case → (model_type, config fields, largest shard)
CASES: dict[str, tuple[str, dict[str, Any], str]] = {
    "gpt2/tied": ("gpt2", GPT2, "1GB"),
    "gpt2/untied": ("gpt2", GPT2 | {"tie_word_embeddings": False}, "1GB"),
    "gpt2/options": (
        "gpt2",
        GPT2 | {"n_inner": 32, "activation_function": "gelu", "layer_norm_epsilon": 1e-3},
        "1GB",
    ),
    "gpt2/sharded": ("gpt2", GPT2, "12KB"),
    "llama/untied": ("llama", LLAMA, "1GB"),
    "llama/tied": ("llama", LLAMA | GROUPED | {"tie_word_embeddings": True}, "1GB"),
    "llama/one_kv_head": ("llama", LLAMA | {"num_key_value_heads": 1}, "1GB"),
    "llama/biases": ("llama", LLAMA | GROUPED | {"attention_bias": True, "mlp_bias": True}, "1GB"),
    "llama/head_dim": ("llama", LLAMA | GROUPED | {"head_dim": 8, "rms_norm_eps": 1e-3}, "1GB"),
    "llama/sharded": ("llama", LLAMA | GROUPED, "12KB"),
    "llama/linear": (
        "llama",
        LLAMA
        | GROUPED
        | {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 500.0}},
        "1GB",
    ),
    "llama/llama3": (
        "llama",
        LLAMA
        | {"head_dim": 16}
        | {
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 500.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 24,
            }
        },
        "1GB",
    ),
    "mistral/window": ("mistral", LLAMA | GROUPED | {"sliding_window": 7}, "1GB"),
    "mistral/all": ("mistral", LLAMA | GROUPED | {"sliding_window": None}, "1GB"),
}


def randomise(model: torch.nn.Module) -> None:
    """Give every parameter values that matter: a norm of ones or a bias of zeros hides mistakes."""
    for name, parameter in sorted(model.named_parameters()):
        noise = torch.randn(parameter.shape)
        is_norm = parameter.dim() == 1 and name.endswith("weight")
        parameter.data.copy_(1 + 0.3 * noise if is_norm else 0.3 * noise)


def make(case: str) -> None:
    """Write one case."""
    kind, fields, shard = CASES[case]
    directory = GOLDENS / case
    shutil.rmtree(directory, ignore_errors=True)
    torch.manual_seed(sum(case.encode()))
    config = transformers.AutoConfig.for_model(kind, **fields)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    randomise(model)
    model = model.float().eval()
    model.save_pretrained(directory, max_shard_size=shard)
    ids = torch.randint(0, config.vocab_size, (2, TIME))
    with torch.no_grad():
        logits = model(ids).logits
    save_file({"ids": ids, "logits": logits.contiguous()}, directory / "golden.safetensors")
    (directory / "generation_config.json").unlink(missing_ok=True)


if __name__ == "__main__":
    for name in sys.argv[1:] or CASES:
        make(name)
        print(name)
