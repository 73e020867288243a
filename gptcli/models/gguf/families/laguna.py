"""Laguna: mixtures behind dense blocks, and a gate behind attention, of each head or feature."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gptcli.models.gguf import experts, rope, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import llama, qwen2, qwen3
from gptcli.models.gguf.fields import PATTERN, Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.sizes import Sizes
from gptcli.models.gguf.takes import Take, Woven
from gptcli.models.gguf.tensors import BLOCK, LAYER

_WINDOW, _NEAR = "attention.sliding_window", "rope.freq_base_swa"
_NEAR_SHARE, _DENSE = "rope.dimension_count_swa", "leading_dense_block_count"
_KEYS = qwen2.KEYS | experts.KEYS | experts.SHARED_KEYS
_KEYS |= {"expert_gating_func", "expert_weights_scale", "expert_weights_norm", _DENSE}
_KEYS |= {_WINDOW, PATTERN, _NEAR, _NEAR_SHARE}
_NAMES = ("gate_proj", "up_proj", "down_proj")
#: As in llama.cpp, where a file does not say it.
_PERIOD = 4
_FULL, _SLIDING = "full_attention", "sliding_attention"
_GATE = "attn_gate.weight"


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `laguna` file. Raises ModelError for what is not supported, by name."""
    fields.only(_KEYS)
    fields.fixed("expert_gating_func", experts.SIGMOID)
    if fields.get("expert_weights_norm") is not True:
        raise fields.error(f"{fields.arch}.expert_weights_norm is off, which is not supported")
    fields.fixed("expert_shared_count", 1)
    heads = fields.counts("attention.head_count")
    size = sizes.read(fields, heads=heads[0])
    if any(each % size.kv_heads for each in heads):
        raise fields.error(f"cannot have {heads} heads with {size.kv_heads} of keys")
    count, used = sizes.experts(fields)
    hidden = fields.count("expert_feed_forward_length")
    beside = fields.count("expert_shared_feed_forward_length", hidden)
    dense = experts.none_or(fields, _DENSE)
    scale = "expert_weights_scale"
    gated = _gates(fields, size, heads)
    config = {
        **sizes.config(size, "laguna", "LagunaForCausalLM", "silu"),
        "attention_bias": False,
        "gating": "per-element" if gated else "per-head",
        "head_dim": size.head_dim,
        "mlp_layer_types": ["dense" if at < dense else "sparse" for at in range(size.layers)],
        "moe_intermediate_size": hidden,
        "moe_routed_scaling_factor": fields.real(scale) if fields.get(scale) else 1.0,
        "num_attention_heads_per_layer": heads,
        "num_experts": count,
        "num_experts_per_tok": used,
        "rms_norm_eps": fields.real("attention.layer_norm_rms_epsilon"),
        "shared_expert_intermediate_size": beside,
        **_sight(fields, size),
    }
    every = [*layout.norms(size.width, llama.NORMS), *qwen3.head_norms(size)]
    first = layout.gated_mlp(size)
    mixed = [
        *layout.mixture(size, count, hidden, "mlp", _NAMES),
        experts.correction("mlp.experts.e_score_correction_bias", count),
        *experts.shared(size, beside, "mlp.shared_expert"),
    ]

    def takes(layer: int) -> list[Take | Woven]:
        own = replace(size, heads=heads[layer])
        rows = own.queries if gated else own.heads
        gate = layout.linear(f"{LAYER}.self_attn.g_proj", f"{BLOCK}.attn_gate", rows, size.width)
        return [*layout.attention(own), *gate, *every, *(first if layer < dense else mixed)]

    return ConversionPlan(config, layout.whole(size, takes))


def _gates(fields: Fields, size: Sizes, heads: list[int]) -> bool:
    """Whether each feature has a gate, not each head, which nothing but the tensors tells."""
    first = fields.header.tensors.get(f"blk.0.{_GATE}")
    return first is not None and first.shape == (heads[0] * size.head_dim, size.width)


def _sight(fields: Fields, size: Sizes) -> dict[str, Any]:
    """Which layers have a window, and the rotary positions of both kinds."""
    full = _turned(fields, size, rope.fields_of(fields, size.head_dim, 500000.0))
    if not fields.get(_WINDOW):
        return {"layer_types": [_FULL] * size.layers, "rope_parameters": {_FULL: full}}
    share = rope.share(fields, size.head_dim, _NEAR_SHARE)
    near = {
        "rope_type": "default",
        "rope_theta": fields.real(_NEAR, full["rope_theta"]),
        "partial_rotary_factor": share,
    }
    kinds = fields.windowed(size.layers, _PERIOD, first=True)
    return {
        "layer_types": [_SLIDING if near else _FULL for near in kinds],
        "rope_parameters": {_FULL: full, _SLIDING: near},
        "sliding_window": fields.count(_WINDOW),
    }


def _turned(fields: Fields, size: Sizes, found: dict[str, Any]) -> dict[str, Any]:
    scaling = found.get("rope_scaling", {"rope_type": "default"})
    share = rope.share(fields, size.head_dim)
    return {**scaling, "rope_theta": found["rope_theta"], "partial_rotary_factor": share}
