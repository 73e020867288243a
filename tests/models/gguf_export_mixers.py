"""Models whose layers carry a state, as GGUF: what gguf_export.py has for those without."""

from __future__ import annotations

from typing import Any

import gguf
import numpy as np

Changed = list[tuple[str, np.ndarray]]


def qwen35(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    """What `Qwen3NextModel.set_gguf_parameters` writes beside the base class's."""
    writer.add_ssm_conv_kernel(config["linear_conv_kernel_dim"])
    writer.add_ssm_state_size(config["linear_key_head_dim"])
    writer.add_ssm_group_count(config["linear_num_key_heads"])
    writer.add_ssm_time_step_rank(config["linear_num_value_heads"])
    writer.add_ssm_inner_size(config["linear_value_head_dim"] * config["linear_num_value_heads"])
    recurrent = [kind == "linear_attention" for kind in config["layer_types"]]
    writer.add_array(f"{writer.arch}.attention.recurrent_layers", recurrent)
    writer.add_uint32(f"{writer.arch}.full_attention_interval", 4)
    share = config["rope_parameters"]["partial_rotary_factor"]
    writer.add_rope_dimension_count(int(config["head_dim"] * share))
    if config["model_type"] != "qwen3_next":
        writer.add_rope_dimension_sections([11, 11, 10, 0])


def lfm2(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    """What `LFM2Model.set_gguf_parameters` writes."""
    hidden = config["intermediate_size"]
    if config.get("block_auto_adjust_ff_dim"):
        hidden, multiple = int(2 * hidden / 3), config["block_multiple_of"]
        hidden = multiple * (-(-int(config["block_ffn_dim_multiplier"] * hidden) // multiple))
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(hidden)
    writer.add_head_count(config["num_attention_heads"])
    kv_heads = config["num_key_value_heads"]
    writer.add_head_count_kv([0 if kind == "conv" else kv_heads for kind in config["layer_types"]])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_shortconv_l_cache(config["conv_L_cache"])
    writer.add_layer_norm_rms_eps(config["norm_eps"])
    if config["model_type"] == "lfm2_moe":
        writer.add_expert_count(config["num_experts"])
        writer.add_expert_used_count(config["num_experts_per_tok"])
        writer.add_expert_feed_forward_length(config["moe_intermediate_size"])
        writer.add_leading_dense_block_count(config["num_dense_layers"])
        writer.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)


def by_turns(array: np.ndarray, axis: int, config: dict[str, Any], size: int) -> np.ndarray:
    """Value heads that go round the key heads: `_reorder_v_heads`."""
    keys, values = config["linear_num_key_heads"], config["linear_num_value_heads"]
    shape = array.shape
    split = (*shape[:axis], keys, values // keys, size, *shape[axis + 1 :])
    return array.reshape(split).swapaxes(axis, axis + 1).reshape(shape)


def delta(config: dict[str, Any], name: str, array: np.ndarray) -> Changed:
    """Tensors of the gated delta rule, and norms that hold what is multiplied."""
    value, keys = config["linear_value_head_dim"], config["linear_num_key_heads"]
    queries = 2 * keys * config["linear_key_head_dim"]
    if "in_proj_qkv" in name or "conv1d" in name:
        array = array.squeeze()
        turned = by_turns(array[queries:], 0, config, value)
        array = np.concatenate([array[:queries], turned])
    elif "in_proj_z" in name:
        array = by_turns(array, 0, config, value)
    elif "in_proj_a" in name or "in_proj_b" in name:
        array = by_turns(array, 0, config, 1)
    elif "linear_attn.out_proj" in name:
        array = by_turns(array, 1, config, value)
    elif name.endswith("A_log"):
        array = -np.exp(by_turns(array, 0, config, 1))
    elif name.endswith("dt_bias"):
        name = name.replace("dt_bias", "dt_proj.bias")
        array = by_turns(array, 0, config, 1)
    elif name.endswith("norm.weight") and not name.endswith("linear_attn.norm.weight"):
        array = array + 1
    return [(name, array)]


def next_delta(config: dict[str, Any], name: str, array: np.ndarray) -> Changed:
    """Qwen3-Next's: what memories read is taken apart, but strengths and steps are not."""
    if "in_proj_qkvz" in name:
        groups, key = config["linear_num_key_heads"], config["linear_key_head_dim"]
        values = config["linear_num_value_heads"] // groups * config["linear_value_head_dim"]
        split = array.reshape(groups, -1, array.shape[-1])
        parts = np.split(split, np.cumsum([key, key, values]), axis=1)
        query, keys, value, gate = (part.reshape(-1, array.shape[-1]) for part in parts)
        at = f"blk.{name.split('.')[2]}"
        both = np.concatenate([query, keys, value])
        return [(f"{at}.attn_qkv.weight", both), (f"{at}.attn_gate.weight", gate)]
    if name.endswith("A_log"):
        array = -np.exp(array)
    elif name.endswith("dt_bias"):
        name = name.replace("dt_bias", "dt_proj.bias")
    elif name.endswith("norm.weight") and not name.endswith("linear_attn.norm.weight"):
        array = array + 1
    return [(name, array)]


def short_conv(config: dict[str, Any], name: str, array: np.ndarray) -> Changed:
    """A convolution is stored as a matrix."""
    name = name.removesuffix("_bias") + "_bias.bias" if name.endswith("expert_bias") else name
    return [(name, array.squeeze(1) if "conv.conv" in name else array)]
