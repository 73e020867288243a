"""Phi-3, Phi-3.5 and Phi-4: queries, keys and values as one matrix, gate and up as another."""

from __future__ import annotations

from typing import Any

from gptcli.models.gguf import rope, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import llama
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.sizes import Sizes
from gptcli.models.gguf.tensors import BLOCK, LAYER

_KEYS = sizes.KEYS | rope.KEYS | {"attention.layer_norm_rms_epsilon"}
_KEYS |= {"attention.sliding_window", "rope.scaling.attn_factor"}


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `phi3` file. Raises ModelError for what is not supported, by name."""
    fields.only(_KEYS)
    size = sizes.read(fields)
    if size.head_dim != size.width // size.heads:
        raise fields.error("phi3.attention.key_length is not supported")
    window = fields.get("attention.sliding_window")
    config = {
        **sizes.config(size, "phi3", "Phi3ForCausalLM", "silu"),
        "attention_bias": False,
        "rms_norm_eps": fields.real("attention.layer_norm_rms_epsilon"),
        # 0 stands for none.
        "sliding_window": fields.count("attention.sliding_window") if window else None,
        **_rope(fields, size),
    }
    width, hidden, theirs = size.width, size.hidden, LAYER
    qkv = size.queries + 2 * size.keys
    attention = f"{theirs}.self_attn"
    parts = [
        *layout.linear(f"{attention}.qkv_proj", f"{BLOCK}.attn_qkv", qkv, width),
        *layout.linear(f"{attention}.o_proj", f"{BLOCK}.attn_output", width, size.queries),
        *layout.norms(width, llama.NORMS),
        *layout.linear(f"{theirs}.mlp.gate_up_proj", f"{BLOCK}.ffn_up", 2 * hidden, width),
        *layout.linear(f"{theirs}.mlp.down_proj", f"{BLOCK}.ffn_down", width, hidden),
    ]
    return ConversionPlan(config, layout.whole(size, parts), rope.LONG)


def _rope(fields: Fields, size: Sizes) -> dict[str, Any]:
    """LongRoPE, where the file has its factors, else plain rotary positions."""
    share = rope.share(fields, size.head_dim)
    original = fields.count("rope.scaling.original_context_length", size.context)
    found = {
        "original_max_position_embeddings": original,
        "partial_rotary_factor": share,
        "rope_theta": fields.real("rope.freq_base", 10000.0),
    }
    fields.fixed("rope.scaling.factor", 0.0, 1.0)
    scaling = rope.long(fields, int(size.head_dim * share) // 2)
    if scaling is None:
        fields.fixed("rope.scaling.type", "none")
        fields.fixed("rope.scaling.attn_factor", 1)
        return found
    fields.fixed("rope.scaling.type", "longrope")
    if fields.get("rope.scaling.attn_factor") is not None:
        scaling["attention_factor"] = fields.real("rope.scaling.attn_factor")
    return {**found, "rope_scaling": scaling}
