"""Gemma 3, text only: Gemma 2 with norms of heads, and five layers with a window to one without."""

from __future__ import annotations

from typing import Any

from gptcli.models.gguf import rope, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import gemma, gemma2, qwen3
from gptcli.models.gguf.fields import PATTERN, Fields
from gptcli.models.gguf.plan import ConversionPlan

_KEYS = gemma.KEYS | {"attention.sliding_window", "rope.freq_base_swa", "final_logit_softcapping"}
_KEYS |= {PATTERN}
_PATTERN = 6
_LARGE = 62


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `gemma3` file. Raises ModelError for what is not supported, by name."""
    fields.only(_KEYS)
    size = sizes.read(fields)
    config = gemma.config(fields, size, "gemma3_text", "Gemma3ForCausalLM")
    full = rope.fields_of(fields, size.head_dim, 1e6)
    window, pattern = None, 1
    if fields.get("attention.sliding_window"):
        fields.period(_PATTERN)
        window, pattern = fields.count("attention.sliding_window"), _PATTERN
    softcap = "final_logit_softcapping"
    cap = fields.real(softcap) if fields.get(softcap) else None
    near = fields.real("rope.freq_base_swa", 10000.0)
    kinds = [
        "full_attention" if (layer + 1) % pattern == 0 else "sliding_attention"
        for layer in range(size.layers)
    ]
    config |= {
        "attn_logit_softcapping": None,
        "final_logit_softcapping": cap,
        "layer_types": kinds,
        "query_pre_attn_scalar": gemma2.scalar(size, _LARGE),
        "rope_local_base_freq": near,
        "sliding_window": window,
        "sliding_window_pattern": pattern,
        **full,
    }
    config["rope_parameters"] = _parameters(config, near)
    norms = layout.norms(size.width, gemma2.NORMS, shift=gemma.SHIFT)
    norms += qwen3.head_norms(size, gemma.SHIFT)
    parts = [*layout.attention(size), *norms, *layout.gated_mlp(size)]
    return ConversionPlan(config, gemma.whole(size, parts))


def _parameters(config: dict[str, Any], near: float) -> dict[str, Any]:
    """Each kind of layer's rope, as transformers 5 writes it."""
    scaling = config.pop("rope_scaling", {"rope_type": "default"})
    return {
        "full_attention": {**scaling, "rope_theta": config["rope_theta"]},
        "sliding_attention": {"rope_type": "default", "rope_theta": near},
    }
