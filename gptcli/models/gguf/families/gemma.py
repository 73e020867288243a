"""Gemma 1: norms that scale by one more than is stored, a head size of its own."""

from __future__ import annotations

from typing import Any

from gptcli.models.gguf import rope, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import llama
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.sizes import Sizes
from gptcli.models.gguf.takes import Take, Woven

KEYS = sizes.KEYS | rope.KEYS | {"attention.layer_norm_rms_epsilon"}
#: The file holds the scales themselves.
SHIFT = -1.0


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `gemma` file. Raises ModelError for what is not supported, by name."""
    fields.only(KEYS)
    size = sizes.read(fields)
    norms = layout.norms(size.width, llama.NORMS, shift=SHIFT)
    parts = [*layout.attention(size), *norms, *layout.gated_mlp(size)]
    return ConversionPlan(config(fields, size, "gemma", "GemmaForCausalLM"), whole(size, parts))


def config(fields: Fields, size: Sizes, model_type: str, architecture: str) -> dict[str, Any]:
    """The config.json of Gemma 1, and what the later ones share with it."""
    activation = "gelu_pytorch_tanh"
    return {
        **llama.common(fields, size, model_type, architecture),
        "attention_bias": False,
        "hidden_act": activation,
        "hidden_activation": activation,
    }


def whole(size: Sizes, parts: list[Take]) -> tuple[Take | Woven, ...]:
    """All takes, with the last norm as the others."""
    return layout.whole(size, parts, final_shift=SHIFT)
