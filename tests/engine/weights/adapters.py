"""LoRA adapters made by PEFT on the golden checkpoints, with numbers that matter everywhere."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tests.engine.helpers import GOLDENS, rows_of

Q_V = ["q_proj", "v_proj"]
#: name → golden checkpoint, fields of LoraConfig
ADAPTERS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("llama/untied", {"target_modules": Q_V, "r": 4, "lora_alpha": 6}),
    "grouped": ("llama/tied", {"target_modules": Q_V, "r": 2}),
    "all-linear": ("llama/biases", {"target_modules": "all-linear", "r": 3}),
    "regex": ("llama/untied", {"target_modules": r".*\.1\.(self_attn\.(q|k)|mlp\.up)_proj"}),
    "rslora": ("llama/untied", {"target_modules": Q_V, "r": 4, "use_rslora": True}),
    "rank_pattern": (
        "llama/untied",
        {
            "target_modules": [*Q_V, "o_proj"],
            "r": 4,
            "rank_pattern": {r"layers\.1\.self_attn\.q_proj": 2, "v_proj": 3},
            "alpha_pattern": {"^model.layers.0.self_attn.q_proj": 16, "o_proj": 5},
        },
    ),
    "layers": ("llama/untied", {"target_modules": Q_V, "layers_to_transform": [1]}),
    "layers_pattern": (
        "llama/untied",
        {"target_modules": Q_V, "layers_to_transform": 0, "layers_pattern": "layers"},
    ),
    "exclude": (
        "llama/untied",
        {"target_modules": Q_V, "exclude_modules": ["layers.0.self_attn.q_proj"]},
    ),
    "lora_only": ("llama/biases", {"target_modules": Q_V, "bias": "lora_only"}),
    "all": ("llama/biases", {"target_modules": Q_V, "bias": "all"}),
    "head": ("llama/untied", {"target_modules": [*Q_V, "lm_head"]}),
    "saved-head": ("llama/untied", {"target_modules": Q_V, "modules_to_save": ["lm_head"]}),
    "saved-norm": ("llama/untied", {"target_modules": Q_V, "modules_to_save": ["norm"]}),
    "embedding": ("llama/untied", {"target_modules": ["embed_tokens", "q_proj"]}),
    "tied-embedding": ("llama/tied", {"target_modules": ["embed_tokens"]}),
    "tied-head": ("llama/tied", {"target_modules": ["lm_head", "q_proj"]}),
    "tied-saved-head": ("llama/tied", {"target_modules": Q_V, "modules_to_save": ["lm_head"]}),
    "tied-saved-embedding": (
        "llama/tied",
        {"target_modules": Q_V, "modules_to_save": ["embed_tokens"]},
    ),
    "fused": ("gpt2/tied", {"target_modules": ["c_attn"], "r": 3}),
    "fused-all": ("gpt2/untied", {"target_modules": "all-linear", "r": 3}),
    "fused-bias": ("gpt2/tied", {"target_modules": ["c_attn", "c_fc"], "bias": "all"}),
    "fused-saved-head": (
        "gpt2/tied",
        {"target_modules": ["c_attn"], "modules_to_save": ["lm_head"]},
    ),
    "positions": ("gpt2/tied", {"target_modules": ["wpe", "c_proj"]}),
}


def make(name: str, to: Path, seed: int = 0) -> Path:
    """Write an adapter as PEFT does."""
    import peft

    from tests import oracle

    case, fields = ADAPTERS[name]
    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed + sum(name.encode()))
        config = peft.LoraConfig(task_type="CAUSAL_LM", **fields)
        model = peft.get_peft_model(oracle.open_model(GOLDENS / case), config)
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data.add_(0.1 * torch.randn(parameter.shape))
        model.save_pretrained(str(to))
    return to


def logits_of_peft(case: str, *directories: Path) -> torch.Tensor:
    """What transformers and PEFT compute for the golden rows, the adapters not merged."""
    import peft

    from tests import oracle

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        base = oracle.open_model(GOLDENS / case)
        model = peft.PeftModel.from_pretrained(base, str(directories[0]), "0")
        for index, directory in enumerate(directories[1:], 1):
            model.load_adapter(str(directory), str(index))
        if len(directories) > 1:
            model.base_model.set_adapter([str(i) for i in range(len(directories))])
        with torch.no_grad():
            found: torch.Tensor = model.eval()(torch.tensor(rows_of(case))).logits
    return found


def reconfigure(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change adapter_config.json."""
    path = directory / "adapter_config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))


def rewrite(directory: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Change the stored tensors."""
    file = directory / "adapter_model.safetensors"
    tensors = load_file(file)
    change(tensors)
    file.unlink()
    save_file(tensors, file)
