"""Models as transformers opens them: what our numbers are held to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers


def kind_of(config: Any) -> Any:
    """The class that builds and opens a model: a text model beside one that sees has its own."""
    if hasattr(config, "vision_config"):
        return transformers.AutoModelForImageTextToText
    return transformers.AutoModelForCausalLM


def open_model(directory: Path, attention: str = "eager") -> Any:
    """All of a checkpoint in float32, attention computed in one of transformers' ways."""
    kind = kind_of(transformers.AutoConfig.from_pretrained(directory))
    model = kind.from_pretrained(directory, dtype=torch.float32, attn_implementation=attention)
    return model.eval()


def that_reads(model: Any) -> Any:
    """The part of a model that runs a text by itself."""
    # Llama 4 of transformers 5.24 looks for images in what its text model gives.
    return model.language_model if model.config.model_type == "llama4" else model
