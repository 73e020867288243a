"""What converters write of latent attention: as DeepSeek-V2's of old, and those of today."""

from __future__ import annotations

from typing import Any

import gguf
import numpy as np


def sizes(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    """What is beside the base class's part. A DeepSeek-V2 is written as it was of old."""
    rank, plain = config["kv_lora_rank"], config["qk_nope_head_dim"]
    turned, value = config["qk_rope_head_dim"], config["v_head_dim"]
    if config["q_lora_rank"] is not None:
        writer.add_q_lora_rank(config["q_lora_rank"])
    writer.add_kv_lora_rank(rank)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_leading_dense_block_count(config["first_k_dense_replace"])
    writer.add_expert_feed_forward_length(config["moe_intermediate_size"])
    writer.add_expert_shared_count(config["n_shared_experts"])
    writer.add_expert_weights_scale(config["routed_scaling_factor"])
    writer.add_rope_dimension_count(turned)
    rope = config["rope_parameters"]
    if rope.get("mscale_all_dim"):
        writer.add_rope_scaling_yarn_log_mul(0.1 * rope["mscale_all_dim"])
    if config["model_type"] == "deepseek_v2":
        writer.add_key_length(plain + turned)
        writer.add_value_length(value)
        return
    writer.add_expert_weights_norm(config["norm_topk_prob"])
    writer.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
    writer.add_key_length(rank + turned)
    writer.add_value_length(rank)
    writer.add_key_length_mla(plain + turned)
    writer.add_value_length_mla(value)


def minicpm3(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    """All that is written of a MiniCPM3: of rotary positions only how many features turn."""
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_q_lora_rank(config["q_lora_rank"])
    writer.add_kv_lora_rank(config["kv_lora_rank"])
    writer.add_key_length(config["qk_nope_head_dim"] + config["qk_rope_head_dim"])
    writer.add_rope_dimension_count(config["qk_rope_head_dim"])


def common(config: dict[str, Any]) -> dict[str, Any]:
    """The config as the base class is to see it: in files of today there is one head of keys."""
    heads = config["num_attention_heads"] if config["model_type"] == "deepseek_v2" else 1
    # What guesses further tokens is not written.
    further = {"num_nextn_predict_layers": 0}
    return config | further | {"head_dim": None, "num_key_value_heads": heads}


def split(config: dict[str, Any], name: str, array: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """What makes keys and values of latents, as two stacks of heads; the first is turned."""
    if not name.endswith("kv_b_proj.weight"):
        return [(name, array)]
    plain, value = config["qk_nope_head_dim"], config["v_head_dim"]
    heads = array.reshape(-1, plain + value, array.shape[-1])
    keys, values = heads[:, :plain].swapaxes(1, 2), heads[:, plain:]
    return [(name.replace("kv_b", "k_b"), keys), (name.replace("kv_b", "v_b"), values)]
