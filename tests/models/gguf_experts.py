"""What converters write of mixtures: `set_gguf_parameters` of their classes."""

from __future__ import annotations

from typing import Any

import gguf
import numpy as np


def _qwen2_moe(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    writer.add_expert_feed_forward_length(config["moe_intermediate_size"])
    writer.add_expert_shared_feed_forward_length(config["shared_expert_intermediate_size"])


def _glm4_moe(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    part = config["rope_parameters"]["partial_rotary_factor"]
    dim = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    writer.add_rope_dimension_count(int(dim * part))
    writer.add_expert_feed_forward_length(config["moe_intermediate_size"])
    writer.add_expert_shared_count(config["n_shared_experts"])
    writer.add_leading_dense_block_count(config["first_k_dense_replace"])
    writer.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
    writer.add_expert_weights_scale(config["routed_scaling_factor"])
    writer.add_expert_weights_norm(config["norm_topk_prob"])
    writer.add_nextn_predict_layers(config.get("num_nextn_predict_layers") or 0)


def _minimax_m2(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    writer.add_expert_feed_forward_length(config["intermediate_size"])
    writer.add_rope_dimension_count(config["rotary_dim"])
    writer.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)


def _ernie4_5_moe(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    writer.add_expert_count(config["moe_num_experts"])
    writer.add_expert_used_count(config["moe_k"])
    writer.add_interleave_moe_layer_step(config["moe_layer_interval"])
    writer.add_leading_dense_block_count(config["moe_layer_start_index"])
    writer.add_expert_feed_forward_length(config["moe_intermediate_size"])
    writer.add_expert_shared_count(config["moe_num_shared_experts"])
    if config["moe_num_shared_experts"]:
        heads = config["num_key_value_heads"]
        writer.add_expert_shared_feed_forward_length(config["intermediate_size"] // heads)


def _laguna(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    writer.add_vocab_size(config["vocab_size"])
    writer.add_head_count(config["num_attention_heads_per_layer"])
    if config["sliding_window"]:
        writer.add_sliding_window(config["sliding_window"])
    writer.add_expert_feed_forward_length(config["moe_intermediate_size"])
    writer.add_expert_shared_feed_forward_length(config["shared_expert_intermediate_size"])
    writer.add_expert_weights_norm(True)
    writer.add_expert_weights_scale(config["moe_routed_scaling_factor"])
    writer.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
    writer.add_leading_dense_block_count(config["mlp_layer_types"].index("sparse"))
    for kind, key in (("full", "dimension_count"), ("sliding", "dimension_count_swa")):
        rope = config["rope_parameters"][f"{kind}_attention"]
        turned = int(config["head_dim"] * rope.get("partial_rotary_factor", 1.0))
        writer.add_uint32(f"{writer.arch}.rope.{key}", turned)


def laguna_names(config: dict[str, Any], name: str, array: Any) -> list[tuple[str, Any]]:
    """What the map of names lacks."""
    for theirs, ours in (
        ("self_attn.g_proj.weight", "attn_gate.weight"),
        ("mlp.experts.e_score_correction.bias", "exp_probs_b.bias"),
    ):
        if name.endswith(theirs):
            return [(f"blk.{name.split('.')[2]}.{ours}", array)]
    return [(name, array)]


def _llama4(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    writer.add_vocab_size(config["vocab_size"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_interleave_moe_layer_step(config["interleave_moe_layer_step"])
    writer.add_expert_feed_forward_length(config["intermediate_size_moe"])


def unstacked(config: dict[str, Any], name: str, array: Any) -> list[tuple[str, Any]]:
    """Llama 4's experts, each as (out, in), gate and up by themselves."""
    if name.endswith("gate_up_proj"):
        gate, up = np.split(array.swapaxes(-1, -2), 2, axis=-2)
        at = name.replace("gate_up_proj", "{}_proj.weight")
        return [(at.format("gate"), gate), (at.format("up"), up)]
    if name.endswith("experts.down_proj"):
        return [(f"{name}.weight", array.swapaxes(-1, -2))]
    return [(name, array)]


def gemma4_names(config: dict[str, Any], name: str, array: Any) -> list[tuple[str, Any]]:
    """What is no weight of a module by its name; scales of the router and of experts."""
    for theirs, ours in (
        ("router.scale", "ffn_gate_inp.scale"),
        ("router.per_expert_scale", "ffn_down_exps.scale"),
    ):
        if name.endswith(theirs):
            return [(f"blk.{name.split('.')[2]}.{ours}", array)]
    bare = name.endswith("layer_scalar") or ".experts." in name
    return [(f"{name}.weight" if bare else name, array)]


SETTINGS = {
    "ernie4_5_moe": _ernie4_5_moe,
    "glm4_moe": _glm4_moe,
    "laguna": _laguna,
    "llama4_text": _llama4,
    "minimax_m2": _minimax_m2,
    "qwen2_moe": _qwen2_moe,
    "qwen3_5_moe_text": _qwen2_moe,
    "qwen3_next": _qwen2_moe,
}
