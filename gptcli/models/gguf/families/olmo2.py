"""OLMo 2: norms after the blocks, and of all queries and keys together; OLMo 3, with windows."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from gptcli.models.gguf import sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import llama, qwen2
from gptcli.models.gguf.fields import PATTERN, Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.sizes import Sizes
from gptcli.models.gguf.takes import Take
from gptcli.models.gguf.tensors import BLOCK, LAYER

_WINDOW, _AMPLITUDE = "attention.sliding_window", "rope.scaling.attn_factor"
#: As in llama.cpp, where a file does not say it.
_PERIOD = 4
_NORMS = {
    "post_attention_layernorm": "post_attention_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}


def plan(fields: Fields) -> ConversionPlan:
    """The plan of an `olmo2` file; with windows it is OLMo 3."""
    fields.only(qwen2.KEYS | {_WINDOW, PATTERN, _AMPLITUDE, "rope.freq_base_swa"})
    fields.fixed("rope.freq_base_swa", fields.get("rope.freq_base"))
    size = sizes.read(fields)
    whole_heads(fields, size)
    windowed = bool(fields.get(_WINDOW))
    config = _later(fields, size) if windowed else _config(fields, size)
    parts = [
        *layout.attention(size),
        *head_norms(size),
        *layout.norms(size.width, _NORMS),
        *layout.gated_mlp(size),
    ]
    return ConversionPlan(config, layout.whole(size, parts))


def whole_heads(fields: Fields, size: Sizes) -> None:
    """Raises ModelError for heads of another size than their share of the width."""
    if size.head_dim != size.width // size.heads:
        raise fields.error(f"{fields.arch}.attention.key_length is not supported")


def head_norms(size: Sizes) -> list[Take]:
    """The norms of all queries together, and of all keys."""
    theirs = f"{LAYER}.self_attn"
    return [
        *layout.norm(f"{theirs}.q_norm", f"{BLOCK}.attn_q_norm", size.queries),
        *layout.norm(f"{theirs}.k_norm", f"{BLOCK}.attn_k_norm", size.keys),
    ]


def _config(fields: Fields, size: Sizes) -> dict[str, Any]:
    fields.fixed(_AMPLITUDE, 1)
    common = llama.common(fields, size, "olmo2", "Olmo2ForCausalLM")
    return {**common, "attention_bias": False}


def _later(fields: Fields, size: Sizes) -> dict[str, Any]:
    """OLMo 3's: only layers without a window have their rotary positions stretched."""
    stated = fields.get(_AMPLITUDE)
    if stated is not None and fields.get("rope.scaling.type") == "yarn":
        # What YaRN has by itself.
        usual = 0.1 * math.log(max(1.0, fields.real("rope.scaling.factor"))) + 1
        if not math.isclose(fields.real(_AMPLITUDE), usual, rel_tol=1e-4):
            fields.fixed(_AMPLITUDE, 1)
        less = {key: value for key, value in fields.header.fields.items() if _AMPLITUDE not in key}
        fields = replace(fields, header=replace(fields.header, fields=less))
    config = llama.common(fields, size, "olmo3", "Olmo3ForCausalLM")
    scaling, theta = config.pop("rope_scaling", {"rope_type": "default"}), config["rope_theta"]
    kinds = ("full_attention", "sliding_attention")
    return {
        **config,
        "attention_bias": False,
        "layer_types": [kinds[near] for near in fields.windowed(size.layers, _PERIOD)],
        "rope_parameters": {
            "full_attention": {**scaling, "rope_theta": theta},
            "sliding_attention": {"rope_type": "default", "rope_theta": theta},
        },
        "sliding_window": fields.count(_WINDOW),
    }
