"""Models with Mamba-2 as GGUF: what gguf_export.py has for those without."""

from __future__ import annotations

from typing import Any

import gguf
import numpy as np

Changed = list[tuple[str, np.ndarray]]


def granite(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    """What `GraniteHybridModel.set_gguf_parameters` writes beside the base classes'."""
    writer.add_ssm_conv_kernel(config["mamba_d_conv"])
    writer.add_ssm_state_size(config["mamba_d_state"])
    writer.add_ssm_group_count(config["mamba_n_groups"])
    writer.add_ssm_inner_size(config["mamba_expand"] * config["hidden_size"])
    writer.add_ssm_time_step_rank(config["mamba_n_heads"])
    attends = ["attention" in kind and "linear" not in kind for kind in config["layer_types"]]
    if all(attends):
        writer.add_rope_scaling_finetuned(True)
        return
    # The converter turns positions on for Bamba alone; the tests' case with both is not published.
    writer.add_rope_scaling_finetuned(config["position_embedding_type"] == "rope")
    heads = config["num_key_value_heads"]
    writer.add_head_count_kv([heads if each else 0 for each in attends])


def nemotron(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    """What `NemotronHModel.set_gguf_parameters` and those that it calls write."""
    kinds = config["layers_block_type"]
    writer.add_block_count(len(kinds))
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_head_count(config["num_attention_heads"])
    heads, mixed = config["num_key_value_heads"], "moe" in kinds
    writer.add_head_count_kv([heads if kind == "full_attention" else 0 for kind in kinds])
    hidden = config["moe_intermediate_size" if mixed else "intermediate_size"]
    writer.add_feed_forward_length([hidden if kind in ("moe", "mlp") else 0 for kind in kinds])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_layer_norm_rms_eps(config["layer_norm_epsilon"])
    writer.add_layer_norm_eps(config["layer_norm_epsilon"])
    writer.add_rope_scaling_finetuned(False)
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_ssm_conv_kernel(config["conv_kernel"])
    writer.add_ssm_state_size(config["ssm_state_size"])
    writer.add_ssm_group_count(config["n_groups"])
    writer.add_ssm_inner_size(config["mamba_num_heads"] * config["mamba_head_dim"])
    writer.add_ssm_time_step_rank(config["mamba_num_heads"])
    if not mixed:
        return
    writer.add_expert_used_count(config["num_experts_per_tok"])
    writer.add_expert_feed_forward_length(hidden)
    shared = config["moe_shared_expert_intermediate_size"]
    writer.add_expert_shared_feed_forward_length(shared)
    writer.add_expert_count(config["n_routed_experts"])
    writer.add_expert_shared_count(config["n_shared_experts"])
    writer.add_expert_weights_norm(config["norm_topk_prob"])
    writer.add_expert_weights_scale(config["routed_scaling_factor"])
    writer.add_expert_group_count(config["n_group"])
    if config["moe_latent_size"]:
        writer.add_moe_latent_size(config["moe_latent_size"])


def _inner(config: dict[str, Any]) -> int:
    return int(config["mamba_d_ssm"] or config["mamba_expand"] * config["hidden_size"])


def falcon(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    """What `FalconH1Model.set_gguf_parameters` and `Mamba2Model`'s write."""
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    head_dim = config["hidden_size"] // config["num_attention_heads"]
    writer.add_key_length(config.get("head_dim") or head_dim)
    writer.add_value_length(config.get("head_dim") or head_dim)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_ssm_conv_kernel(config["mamba_d_conv"])
    writer.add_ssm_inner_size(_inner(config))
    writer.add_ssm_state_size(config["mamba_d_state"])
    writer.add_ssm_time_step_rank(config["mamba_n_heads"])
    writer.add_ssm_group_count(config["mamba_n_groups"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])


def memories(config: dict[str, Any], name: str, array: np.ndarray) -> Changed:
    """`Mamba2Model.modify_tensors`: some vectors become matrices."""
    groups = config.get("mamba_n_groups") or config.get("n_groups")
    if name.endswith(".dt_bias"):
        return [(name.replace(".dt_bias", ".dt_proj.bias"), array)]
    if name.endswith(".A_log"):
        return [(name, -np.exp(array)[:, None])]
    if name.endswith(".D"):
        return [(name, array[:, None])]
    if "conv1d.weight" in name:
        return [(name, array.squeeze())]
    if name.endswith((".mamba.norm.weight", ".mixer.norm.weight")):
        return [(name, array.reshape(groups, -1))]
    return [(name, array)]


def multiplied(config: dict[str, Any], name: str, array: np.ndarray) -> Changed:
    """`FalconH1Model.modify_tensors`: its multipliers go into the weights."""
    gate, down = config["mlp_multipliers"]
    read = config["attention_in_multiplier"]
    inner, keys = _inner(config), config["mamba_n_groups"] * config["mamba_d_state"]
    rows = np.repeat(config["ssm_multipliers"], [inner, inner, keys, keys, config["mamba_n_heads"]])
    for part, by in (
        ("down_proj", down),
        ("gate_proj", gate),
        ("k_proj", config["key_multiplier"] * read),
        ("q_proj", read),
        ("v_proj", read),
        ("o_proj", config["attention_out_multiplier"]),
        ("out_proj", config["ssm_out_multiplier"]),
        ("in_proj", config["ssm_in_multiplier"] * rows[:, None]),
        ("lm_head", config["lm_head_multiplier"]),
        ("embed_tokens", config["embedding_multiplier"]),
    ):
        if f".{part}." in f".{name}":
            return [(name, (array * by).astype(np.float32))]
    return memories(config, name, array)
