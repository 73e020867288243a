"""The tiny models of tests/goldens: what each family's config says, with its options flipped."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Fields = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A model_type, fields of its config, the largest shard.

    attention: how transformers computes it; packed: its experts are stored in MXFP4; stacked: in
    two stacks; short: how many tokens are computed once more by themselves, where the length
    matters. seed: another draw, where with the first rounding decides which experts are chosen.
    close: rounding to few bits decides it somewhere in its text, so that it says nothing of them.
    """

    kind: str
    fields: Fields = field(default_factory=dict)
    shard: str = "1GB"
    attention: str = "eager"
    packed: bool = False
    stacked: bool = False
    short: int = 0
    seed: int = 0
    close: bool = False


GPT2: Fields = {"vocab_size": 61, "n_embd": 24, "n_layer": 2, "n_head": 3, "n_positions": 48}
LLAMA: Fields = {
    "vocab_size": 61,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 6,
    "max_position_embeddings": 48,
}
GROUPED: Fields = {"num_key_value_heads": 2}
SMALL: Fields = {
    "vocab_size": 61,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 48,
    "pad_token_id": 0,
}
WIDE: Fields = SMALL | {"head_dim": 8}
#: The square root of the width is no number of bfloat16.
GEMMA: Fields = WIDE | {"hidden_size": 24}
TIED: Fields = {"tie_word_embeddings": True}
UNTIED: Fields = {"tie_word_embeddings": False}
FULL, SLIDING, LINEAR = "full_attention", "sliding_attention", "linear_attention"
#: Keys and values of layers 0 and 1 are read by layers of their kinds behind them, where some are.
GEMMA4_SIZES: Fields = GEMMA | {
    "num_hidden_layers": 4,
    "global_head_dim": 12,
    "sliding_window": 7,
    "layer_types": [SLIDING, FULL] * 2,
}
FEW_HEADS: Fields = {"num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 16}
GEMMA4: Fields = GEMMA4_SIZES | {
    "vocab_size_per_layer_input": 64,
    "hidden_size_per_layer_input": 20,
}
NEO: Fields = {
    "vocab_size": 61,
    "hidden_size": 16,
    "num_layers": 2,
    "num_heads": 4,
    "max_position_embeddings": 48,
    "attention_types": [[["global", "local"], 1]],
    "window_size": 7,
}
GPTJ: Fields = GPT2 | {"n_embd": 16, "n_head": 2, "rotary_dim": 4}
NEOX: Fields = {k: v for k, v in SMALL.items() if k != "num_key_value_heads"}
OPT: Fields = {k: v for k, v in NEOX.items() if k != "intermediate_size"}
OPT |= {"ffn_dim": 24, "word_embed_proj_dim": 16}
BLOOM: Fields = {
    "vocab_size": 61,
    "hidden_size": 16,
    "n_layer": 2,
    "n_head": 4,
    "seq_length": 48,
}
FALCON: Fields = {k: v for k, v in NEOX.items() if k != "intermediate_size"}
FALCON |= {"ffn_hidden_size": 24}
YARN: Fields = {
    "rope_type": "yarn",
    "rope_theta": 500.0,
    "factor": 2.0,
    "original_max_position_embeddings": 24,
    "beta_fast": 4.0,
}
LONGROPE: Fields = {
    "rope_type": "longrope",
    "rope_theta": 500.0,
    "short_factor": [1.0, 1.1, 1.3, 1.7],
    "long_factor": [1.2, 1.9, 3.1, 4.7],
    "original_max_position_embeddings": 24,
}
QWEN3_MOE: Fields = WIDE | {
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 12,
}
#: Which of many are chosen by what is added matters only among several.
ROUTED: Fields = WIDE | {
    "num_hidden_layers": 3,
    "num_experts_per_tok": 3,
    "moe_intermediate_size": 12,
    "n_routed_experts": 8,
}
MINIMAX: Fields = WIDE | {"num_local_experts": 6, "num_experts_per_tok": 3, "rotary_dim": 4}
SHARPENED: Fields = {"original_max_position_embeddings": 9, "llama_4_scaling_beta": 0.7}
LLAMA3: Fields = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 1.0,
    "original_max_position_embeddings": 24,
}
LLAMA4: Fields = WIDE | {
    "num_hidden_layers": 4,
    "intermediate_size_mlp": 20,
    "num_local_experts": 4,
    "attention_chunk_size": 7,
    "floor_scale": 5,
    "attn_scale": 0.4,
}
LAGUNA: Fields = WIDE | {
    "num_hidden_layers": 3,
    "num_experts": 6,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 12,
    "shared_expert_intermediate_size": 20,
}
GPT_OSS: Fields = WIDE | {
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "sliding_window": 7,
    "swiglu_limit": 1.0,
    "rope_parameters": YARN | {"truncate": False},
}
MULTIPLIERS: Fields = {
    "embedding_multiplier": 3.0,
    "attention_multiplier": 0.25,
    "residual_multiplier": 0.6,
    "logits_scaling": 0.5,
}
LATENT: Fields = SMALL | {
    "num_key_value_heads": 4,
    "kv_lora_rank": 12,
    "q_lora_rank": 10,
    "qk_nope_head_dim": 6,
    "qk_rope_head_dim": 4,
    "v_head_dim": 8,
}
MINICPM3: Fields = LATENT | {
    "v_head_dim": None,
    "scale_emb": 3,
    "dim_model_base": 8,
    "rope_parameters": {
        "rope_type": "longrope",
        "rope_theta": 500.0,
        "short_factor": [1.0, 1.1],
        "long_factor": [1.2, 1.9],
        "original_max_position_embeddings": 24,
    },
}
#: What DeepSeek's YaRN does to angles and to scores.
STEEPENED: Fields = YARN | {"mscale": 0.6, "mscale_all_dim": 0.6}
DEEPSEEK: Fields = LATENT | {k: v for k, v in ROUTED.items() if k not in WIDE}
KIMI_VISION: Fields = {
    "patch_size": 4,
    "pos_emb_height": 2,
    "pos_emb_width": 2,
    "pos_emb_time": 2,
    "num_attention_heads": 1,
    "num_hidden_layers": 1,
    "hidden_size": 16,
    "intermediate_size": 8,
}
VISION: Fields = {
    "hidden_size": 8,
    "intermediate_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "image_size": 8,
    "patch_size": 4,
    "model_type": "siglip_vision_model",
    "vision_use_head": False,
}
PICTURES: Fields = {
    "depth": 1,
    "hidden_size": 8,
    "intermediate_size": 8,
    "num_heads": 1,
    "patch_size": 2,
    "temporal_patch_size": 1,
    "out_hidden_size": 16,
    "num_position_embeddings": 4,
    "deepstack_visual_indexes": [0],
}
SECTIONS: Fields = {"rope_type": "default", "rope_theta": 500.0, "mrope_section": [2, 1, 1]}
PIXTRAL: Fields = {
    "model_type": "pixtral",
    "hidden_size": 8,
    "intermediate_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "head_dim": 8,
    "image_size": 8,
    "patch_size": 4,
}
#: As published, with what other kinds of scaling have.
ALPHA: Fields = {"rope_type": "dynamic", "rope_theta": 500.0, "alpha": 20.0, "factor": 1.0}
ALPHA |= {"beta_fast": 32, "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0}
GRANITE4: Fields = SMALL | MULTIPLIERS | {"num_local_experts": 0, "num_experts_per_tok": 0}
GRANITE4 |= {"shared_intermediate_size": 20, "layer_types": [FULL, FULL]}
GRANITE4 |= {"position_embedding_type": "rope"}
GRANITE4 |= {"mamba_n_heads": 4, "mamba_expand": 2}
MIXTURE: Fields = SMALL | {"num_experts": 4, "num_experts_per_tok": 2, "intermediate_size": 8}


def seen(kind: str, text: Fields, **more: Any) -> Case:
    """A text model beside one of Qwen's that sees."""
    fields: Fields = {"text_config": text, "vision_config": PICTURES, **more}
    if kind == "qwen2_vl":
        fields["vision_config"] = PICTURES | {"hidden_size": 16, "embed_dim": 8}
    ids = ("image", "video", "vision_start", "vision_end")
    fields |= {f"{name}_token_id": 57 + at for at, name in enumerate(ids)}
    return Case(kind, fields)


QWEN3_5: Fields = WIDE | {
    "layer_types": [LINEAR, FULL],
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 10,
    "linear_value_head_dim": 12,
    "linear_conv_kernel_dim": 4,
    "rms_norm_eps": 1e-4,
}
QWEN3_5_VISION: Fields = {
    "model_type": "qwen3_5_vision",
    "depth": 1,
    "hidden_size": 8,
    "intermediate_size": 8,
    "num_heads": 1,
    "patch_size": 2,
    "temporal_patch_size": 1,
    "out_hidden_size": 16,
    "num_position_embeddings": 4,
}
QWEN3_5_IDS: Fields = {
    "image_token_id": 60,
    "video_token_id": 59,
    "vision_start_token_id": 58,
    "vision_end_token_id": 57,
}
LFM2: Fields = SMALL | {
    "layer_types": ["conv", FULL],
    "block_multiple_of": 8,
}

LFM2_MOE: Fields = SMALL | {
    "layer_types": ["conv", FULL],
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 12,
    "num_dense_layers": 1,
    "norm_eps": 1e-4,
}
#: Half of the features of each head of attention rotate.
BAMBA: Fields = SMALL | {
    "hidden_size": 24,
    "attn_layer_indices": [1],
    "mamba_n_heads": 4,
    "mamba_n_groups": 2,
    "mamba_d_state": 10,
    "mamba_chunk_size": 16,
    "num_attention_heads": 3,
    "num_key_value_heads": 1,
    "rms_norm_eps": 1e-4,
}
FALCON_H1: Fields = SMALL | {
    "mamba_d_ssm": 24,
    "mamba_n_heads": 4,
    "mamba_d_state": 10,
    "mamba_chunk_size": 16,
    "rms_norm_eps": 1e-4,
    "ssm_multipliers": [0.7, 1.2, 0.8, 1.5, 0.6],
    "ssm_out_multiplier": 0.9,
    "mlp_multipliers": [1.4, 0.7],
    "key_multiplier": 0.8,
    "attention_out_multiplier": 1.2,
    "embedding_multiplier": 1.7,
    "lm_head_multiplier": 1.3,
}
QWEN3_NEXT: Fields = QWEN3_5 | {
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 12,
    "shared_expert_intermediate_size": 10,
}
NEMOTRON_H: Fields = SMALL | {
    "layers_block_type": [LINEAR, "mlp", FULL, "mlp"],
    "head_dim": 8,
    "mamba_num_heads": 4,
    "mamba_head_dim": 12,
    "ssm_state_size": 10,
    "n_groups": 2,
    "chunk_size": 16,
    "layer_norm_epsilon": 1e-3,
}

CASES: dict[str, Case] = {
    "gpt2/tied": Case("gpt2", GPT2),
    "gpt2/untied": Case("gpt2", GPT2 | UNTIED),
    "gpt2/options": Case(
        "gpt2",
        GPT2 | {"n_inner": 32, "activation_function": "gelu", "layer_norm_epsilon": 1e-3},
    ),
    "gpt2/sharded": Case("gpt2", GPT2, shard="12KB"),
    "llama/untied": Case("llama", LLAMA),
    "llama/tied": Case("llama", LLAMA | GROUPED | TIED),
    "llama/one_kv_head": Case("llama", LLAMA | {"num_key_value_heads": 1}),
    "llama/biases": Case("llama", LLAMA | GROUPED | {"attention_bias": True, "mlp_bias": True}),
    "llama/head_dim": Case("llama", LLAMA | GROUPED | {"head_dim": 8, "rms_norm_eps": 1e-3}),
    "llama/sharded": Case("llama", LLAMA | GROUPED, shard="12KB"),
    "llama/linear": Case(
        "llama",
        LLAMA
        | GROUPED
        | {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 500.0}},
    ),
    "llama/llama3": Case(
        "llama",
        LLAMA
        | {"head_dim": 16}
        | {
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 500.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 24,
            }
        },
    ),
    "llama/dynamic": Case(
        "llama",
        WIDE
        | {
            "max_position_embeddings": 24,
            "rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 500.0},
        },
        short=20,
    ),
    "llama/yarn": Case("llama", WIDE | {"rope_parameters": YARN | {"attention_factor": 1.5}}),
    "mistral/window": Case("mistral", LLAMA | GROUPED | {"sliding_window": 7}),
    "mistral/all": Case("mistral", LLAMA | GROUPED | {"sliding_window": None}),
    "gpt_neo/mixed": Case("gpt_neo", NEO),
    "gpt_neo/options": Case(
        "gpt_neo",
        NEO
        | UNTIED
        | {
            "num_layers": 3,
            "attention_types": [[["local"], 2], [["global"], 1]],
            "intermediate_size": 24,
            "activation_function": "gelu",
            "layer_norm_epsilon": 1e-3,
        },
    ),
    "gptj/part_rotated": Case("gptj", GPTJ),
    "gptj/options": Case(
        "gptj",
        GPTJ
        | TIED
        | {
            "rotary_dim": 8,
            "n_inner": 24,
            "activation_function": "relu",
            "layer_norm_epsilon": 1e-3,
        },
    ),
    "gpt_neox/parallel": Case("gpt_neox", NEOX | {"num_attention_heads": 2}),
    "gpt_neox/options": Case(
        "gpt_neox",
        NEOX
        | TIED
        | {
            "use_parallel_residual": False,
            "attention_bias": False,
            "hidden_act": "gelu_new",
            "layer_norm_eps": 1e-3,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 500.0,
                "partial_rotary_factor": 1.0,
            },
        },
    ),
    "opt/tied": Case("opt", OPT),
    "opt/options": Case(
        "opt", OPT | UNTIED | {"enable_bias": False, "activation_function": "gelu", "ffn_dim": 20}
    ),
    "bloom/tied": Case("bloom", BLOOM),
    "bloom/six_heads": Case(
        "bloom",
        BLOOM | UNTIED | {"hidden_size": 24, "n_head": 6, "layer_norm_epsilon": 1e-3},
    ),
    "falcon/one_kv_head": Case("falcon", FALCON),
    "falcon/grouped": Case(
        "falcon", FALCON | {"new_decoder_architecture": True, "num_kv_heads": 2}
    ),
    "falcon/one_norm": Case(
        "falcon",
        FALCON
        | UNTIED
        | {
            "new_decoder_architecture": True,
            "num_kv_heads": 2,
            "num_ln_in_parallel_attn": 1,
            "bias": True,
            "activation": "relu",
            "layer_norm_epsilon": 1e-3,
        },
    ),
    # Written out, transformers 5.24 adds the bias twice.
    "falcon/alibi": Case(
        "falcon",
        FALCON | {"alibi": True, "multi_query": False, "parallel_attn": False, "bias": True},
        attention="sdpa",
    ),
    "mixtral/all": Case("mixtral", SMALL | {"num_local_experts": 4}),
    "mixtral/window": Case(
        "mixtral",
        WIDE
        | TIED
        | {
            "num_local_experts": 3,
            "num_experts_per_tok": 1,
            "sliding_window": 7,
            "rms_norm_eps": 1e-3,
        },
    ),
    "qwen2/untied": Case("qwen2", SMALL),
    "qwen2/windows": Case(
        "qwen2",
        SMALL
        | TIED
        | {
            "num_hidden_layers": 3,
            "use_sliding_window": True,
            "sliding_window": 7,
            "max_window_layers": 1,
        },
    ),
    "qwen2/yarn": Case("qwen2", WIDE | {"rope_parameters": YARN}),
    "qwen3/untied": Case("qwen3", WIDE),
    "qwen3/options": Case(
        "qwen3",
        WIDE
        | TIED
        | {
            "attention_bias": True,
            "use_sliding_window": True,
            "sliding_window": 7,
            "layer_types": [SLIDING, FULL],
            "rms_norm_eps": 1e-3,
        },
    ),
    "qwen3_moe/untied": Case("qwen3_moe", QWEN3_MOE),
    "qwen3_moe/options": Case(
        "qwen3_moe",
        QWEN3_MOE
        | TIED
        | {
            "num_hidden_layers": 4,
            "decoder_sparse_step": 2,
            "mlp_only_layers": [1],
            "norm_topk_prob": True,
            "num_experts_per_tok": 3,
            "attention_bias": True,
            "use_sliding_window": True,
            "sliding_window": 7,
        },
    ),
    "qwen2_moe/options": Case(
        "qwen2_moe",
        QWEN3_MOE
        | TIED
        | {
            "num_hidden_layers": 4,
            "decoder_sparse_step": 2,
            "mlp_only_layers": [1],
            "shared_expert_intermediate_size": 40,
            "num_experts_per_tok": 3,
            "use_sliding_window": True,
            "sliding_window": 7,
            "max_window_layers": 3,
        },
    ),
    "glm4_moe_lite/plain": Case(
        "glm4_moe_lite",
        DEEPSEEK | {"mlp_layer_types": ["sparse", "dense"], "rms_norm_eps": 1e-3},
    ),
    "glm4_moe/dense_first": Case(
        "glm4_moe",
        ROUTED | {"use_qk_norm": True, "norm_topk_prob": False, "routed_scaling_factor": 0.7},
        seed=3,
    ),
    "glm4_moe/groups": Case(
        "glm4_moe",
        ROUTED
        | TIED
        | {
            "first_k_dense_replace": 2,
            "n_group": 4,
            "topk_group": 2,
            "routed_scaling_factor": 2.5,
            "n_shared_experts": 2,
            "attention_bias": True,
            "rms_norm_eps": 1e-3,
        },
        seed=1,
    ),
    "minimax_m2/untied": Case("minimax_m2", MINIMAX, seed=1),
    "ernie4_5_moe/tied": Case(
        "ernie4_5_moe",
        SMALL
        | {
            "num_hidden_layers": 3,
            "moe_num_experts": 8,
            "moe_k": 3,
            "moe_intermediate_size": 12,
        },
    ),
    "ernie4_5_moe/options": Case(
        "ernie4_5_moe",
        SMALL
        | UNTIED
        | {
            "num_hidden_layers": 4,
            "moe_num_experts": 6,
            "moe_k": 2,
            "moe_intermediate_size": 12,
            "moe_num_shared_experts": 0,
            "moe_layer_start_index": 0,
            "moe_layer_end_index": 2,
            "moe_layer_interval": 2,
            "rms_norm_eps": 1e-3,
        },
        seed=1,
    ),
    "ministral3/sharpened": Case(
        "ministral3",
        WIDE | {"rope_parameters": YARN | {"mscale": 1.0, "mscale_all_dim": 1.0} | SHARPENED},
    ),
    "llama4_text/chunks": Case(
        "llama4_text", LLAMA4 | {"interleave_moe_layer_step": 2, "rope_parameters": LLAMA3}
    ),
    "llama4_text/published": Case(
        "llama4_text",
        LLAMA4
        | {"interleave_moe_layer_step": 2, "floor_scale": 8192, "attn_scale": 0.1}
        | {"attention_chunk_size": 8192}
        | {
            "rope_parameters": LLAMA3
            | {"original_max_position_embeddings": 8192, "factor": 16.0, "rope_theta": 500000.0}
        },
    ),
    "llama4/vision": Case(
        "llama4",
        {
            "text_config": LLAMA4 | {"model_type": "llama4_text", "num_hidden_layers": 1},
            "vision_config": {
                "hidden_size": 8,
                "intermediate_size": 32,
                "num_hidden_layers": 1,
                "num_attention_heads": 1,
                "image_size": 8,
                "patch_size": 4,
                "vision_output_dim": 8,
                "projector_input_dim": 8,
                "projector_output_dim": 8,
            },
            "image_token_index": 60,
            "boi_token_index": 58,
            "eoi_token_index": 59,
        },
    ),
    "llama4_text/options": Case(
        "llama4_text",
        LLAMA4
        | TIED
        | {
            "num_hidden_layers": 3,
            "no_rope_layers": [1, 0, 1],
            "use_qk_norm": False,
            "attn_temperature_tuning": False,
            "attention_chunk_size": None,
            "num_experts_per_tok": 2,
            "attention_bias": True,
            "moe_layers": [0, 2],
        },
    ),
    "laguna/mixed": Case(
        "laguna",
        LAGUNA
        | {
            "layer_types": [FULL, SLIDING, SLIDING],
            "num_attention_heads_per_layer": [4, 6, 6],
            "sliding_window": 7,
            "moe_routed_scaling_factor": 2.5,
            "rope_parameters": {
                FULL: YARN | {"partial_rotary_factor": 0.5, "attention_factor": 1.3},
                SLIDING: {"rope_type": "default", "rope_theta": 100.0},
            },
        },
        seed=4,
    ),
    "laguna/options": Case(
        "laguna",
        LAGUNA
        | TIED
        | {
            "mlp_layer_types": ["dense", "dense", "sparse"],
            "moe_router_logit_softcapping": 0.8,
            "rms_norm_eps": 1e-3,
        },
        seed=3,
    ),
    # No layer has a window, whatever it says of one.
    "laguna/elements": Case("laguna", LAGUNA | {"gating": "per-element", "sliding_window": 0}),
    "gemma/tied": Case("gemma", GEMMA),
    "gemma/options": Case(
        "gemma",
        GEMMA | UNTIED | {"attention_bias": True, "num_key_value_heads": 1, "rms_norm_eps": 1e-3},
    ),
    "gemma2/capped": Case(
        "gemma2",
        GEMMA
        | {
            "attn_logit_softcapping": 2.0,
            "final_logit_softcapping": 3.0,
            "sliding_window": 7,
            "query_pre_attn_scalar": 12,
        },
    ),
    "gemma2/options": Case(
        "gemma2",
        GEMMA
        | UNTIED
        | {
            "attn_logit_softcapping": None,
            "final_logit_softcapping": None,
            "sliding_window": 7,
            "layer_types": [FULL, SLIDING],
            "attention_bias": True,
            "hidden_activation": "silu",
        },
    ),
    "gemma3_text/two_ropes": Case(
        "gemma3_text",
        GEMMA
        | {
            "num_hidden_layers": 3,
            "sliding_window": 7,
            "sliding_window_pattern": 3,
            "query_pre_attn_scalar": 8,
            "rope_parameters": {
                FULL: {"rope_type": "linear", "factor": 4.0, "rope_theta": 5000.0},
                SLIDING: {"rope_type": "default", "rope_theta": 100.0},
            },
        },
    ),
    "gemma3_text/options": Case(
        "gemma3_text",
        GEMMA
        | UNTIED
        | {
            "layer_types": [FULL, SLIDING],
            "sliding_window": 5,
            "final_logit_softcapping": 3.0,
            "attention_bias": True,
        },
    ),
    "gemma4_text/told": Case(
        "gemma4_text",
        GEMMA4
        | FEW_HEADS
        | {
            "num_kv_shared_layers": 2,
            "use_double_wide_mlp": True,
            "final_logit_softcapping": 3.0,
        },
    ),
    "gemma4_text/options": Case(
        "gemma4_text",
        GEMMA4
        | UNTIED
        | {
            "attention_bias": True,
            "attention_k_eq_v": True,
            "global_head_dim": 16,
            "hidden_size_per_layer_input": 0,
            "num_global_key_value_heads": 1,
            "rms_norm_eps": 1e-3,
            "rope_parameters": {
                SLIDING: {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e4},
                FULL: {
                    "rope_type": "proportional",
                    "partial_rotary_factor": 0.5,
                    "rope_theta": 1e5,
                    "factor": 2.0,
                },
            },
            "use_bidirectional_attention": "vision",
        },
    ),
    "gemma4_text/mixture": Case(
        "gemma4_text",
        GEMMA4_SIZES
        | FEW_HEADS
        | {
            "num_hidden_layers": 2,
            "layer_types": [SLIDING, FULL],
            "hidden_size_per_layer_input": 0,
            "enable_moe_block": True,
            "num_experts": 3,
            "top_k_experts": 2,
            "moe_intermediate_size": 16,
        },
        seed=2,
    ),
    "gemma4/sees_and_hears": Case(
        "gemma4",
        {
            "text_config": GEMMA4 | FEW_HEADS | {"model_type": "gemma4_text"},
            "vision_config": {
                "hidden_size": 8,
                "intermediate_size": 8,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "num_key_value_heads": 2,
                "head_dim": 4,
                "position_embedding_size": 16,
                "patch_size": 2,
            },
            "audio_config": {
                "hidden_size": 8,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "subsampling_conv_channels": [4, 2],
                "output_proj_dims": 8,
            },
        },
        seed=5,
    ),
    "gemma4_unified_text/equal": Case(
        "gemma4_unified_text",
        GEMMA4_SIZES | FEW_HEADS | {"attention_k_eq_v": True},
        seed=1,
    ),
    "gemma4_unified/sees_and_hears": Case(
        "gemma4_unified",
        {
            "text_config": GEMMA4_SIZES | FEW_HEADS | {"model_type": "gemma4_unified_text"},
            "vision_config": {
                "patch_size": 2,
                "pooling_kernel_size": 1,
                "model_patch_size": 2,
                "mm_embed_dim": 12,
                "mm_posemb_size": 4,
                "output_proj_dims": 12,
            },
            "audio_config": {"audio_embed_dim": 8},
        },
        seed=3,
    ),
    "gemma3/vision": Case(
        "gemma3",
        {
            "text_config": WIDE
            | {
                "model_type": "gemma3_text",
                "layer_types": [SLIDING, FULL],
                "sliding_window": 7,
            },
            "vision_config": VISION,
            "mm_tokens_per_image": 4,
            "image_token_index": 60,
            "boi_token_index": 58,
            "eoi_token_index": 59,
        },
    ),
    "phi/plain": Case("phi", SMALL | {"num_key_value_heads": 4}),
    "phi/options": Case(
        "phi",
        SMALL
        | TIED
        | {
            "qk_layernorm": True,
            "hidden_act": "gelu",
            "layer_norm_eps": 1e-3,
            "partial_rotary_factor": 1.0,
        },
    ),
    "phi3/window": Case("phi3", SMALL | {"sliding_window": 7}),
    "phi3/longrope": Case(
        "phi3",
        SMALL
        | TIED
        | {
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "original_max_position_embeddings": 24,
            "rope_parameters": LONGROPE,
            "rms_norm_eps": 1e-3,
        },
        short=20,
    ),
    "smollm3/no_rope": Case("smollm3", SMALL | {"no_rope_layer_interval": 2}),
    "smollm3/options": Case(
        "smollm3",
        SMALL
        | UNTIED
        | {
            "no_rope_layers": [0, 1],
            "use_sliding_window": True,
            "sliding_window": 7,
            "attention_bias": True,
            "mlp_bias": True,
            "rope_parameters": {"rope_type": "default", "rope_theta": 500.0},
        },
    ),
    "olmo2/untied": Case("olmo2", SMALL),
    "olmo2/options": Case(
        "olmo2",
        SMALL | TIED | {"attention_bias": True, "num_key_value_heads": 4, "rms_norm_eps": 1e-3},
    ),
    "stablelm/untied": Case("stablelm", SMALL | {"num_attention_heads": 2}),
    "stablelm/options": Case(
        "stablelm",
        SMALL
        | TIED
        | {
            "qk_layernorm": True,
            "use_qkv_bias": True,
            "use_parallel_residual": True,
            "partial_rotary_factor": 0.5,
            "layer_norm_eps": 1e-3,
        },
    ),
    "starcoder2/tied": Case("starcoder2", SMALL),
    "starcoder2/options": Case(
        "starcoder2",
        SMALL | UNTIED | {"use_bias": False, "sliding_window": 7, "norm_epsilon": 1e-3},
    ),
    "granite/untied": Case("granite", SMALL | MULTIPLIERS),
    "granite/options": Case(
        "granite", SMALL | TIED | {"attention_bias": True, "mlp_bias": True, "rms_norm_eps": 1e-3}
    ),
    "cohere/tied": Case("cohere", SMALL | {"logit_scale": 0.5}),
    "cohere/options": Case(
        "cohere",
        SMALL
        | UNTIED
        | {
            "use_qk_norm": True,
            "attention_bias": True,
            "layer_norm_eps": 1e-3,
            "logit_scale": 1.5,
        },
    ),
    "gpt_oss/plain": Case("gpt_oss", GPT_OSS),
    "gpt_oss/options": Case(
        "gpt_oss",
        GPT_OSS
        | TIED
        | {
            "attention_bias": False,
            "num_experts_per_tok": 1,
            "layer_types": [FULL, FULL],
            "swiglu_limit": 0.5,
            "rope_parameters": YARN,
        },
    ),
    "gpt_oss/mxfp4": Case(
        "gpt_oss",
        GPT_OSS
        | {
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_local_experts": 2,
            "num_experts_per_tok": 1,
        },
        packed=True,
    ),
    "qwen3_5_text/plain": Case("qwen3_5_text", QWEN3_5),
    "qwen3_5_text/options": Case(
        "qwen3_5_text",
        QWEN3_5
        | TIED
        | {
            "layer_types": [FULL, LINEAR],
            "linear_num_value_heads": 2,
            "linear_value_head_dim": 18,
            "linear_conv_kernel_dim": 2,
            "attention_bias": True,
            "rms_norm_eps": 1e-3,
            "partial_rotary_factor": 0.5,
        },
    ),
    "qwen3_5/wrapped": Case(
        "qwen3_5",
        {
            "text_config": QWEN3_5 | {"model_type": "qwen3_5_text", "rms_norm_eps": 1e-3},
            "vision_config": QWEN3_5_VISION,
            **QWEN3_5_IDS,
        },
    ),
    "lfm2/plain": Case("lfm2", LFM2),
    "lfm2/options": Case(
        "lfm2",
        LFM2
        | UNTIED
        | {
            "conv_bias": True,
            "conv_L_cache": 4,
            "block_auto_adjust_ff_dim": False,
            "norm_eps": 1e-3,
            "num_hidden_layers": 3,
            "layer_types": ["conv", "conv", FULL],
        },
    ),
    "arcee/plain": Case("arcee", SMALL),
    "arcee/options": Case("arcee", WIDE | TIED | {"attention_bias": True, "mlp_bias": True}),
    "cohere2/mixed": Case(
        "cohere2", SMALL | {"num_hidden_layers": 4, "sliding_window": 7, "logit_scale": 0.5}
    ),
    "cohere2/options": Case(
        "cohere2",
        SMALL
        | UNTIED
        | {"layer_types": [FULL, SLIDING], "sliding_window": 5, "attention_bias": True}
        | {"layer_norm_eps": 1e-3, "logit_scale": 1.5},
    ),
    "deepseek_v2/lite": Case(
        "deepseek_v2",
        DEEPSEEK
        | {"q_lora_rank": None, "first_k_dense_replace": 1, "rms_norm_eps": 1e-3}
        | {"rope_parameters": STEEPENED | {"mscale": 1.0}, "attention_bias": True},
    ),
    "deepseek_v2/groups": Case(
        "deepseek_v2",
        DEEPSEEK
        | TIED
        | {"topk_method": "group_limited_greedy", "n_group": 4, "topk_group": 2}
        | {"n_shared_experts": 1, "routed_scaling_factor": 2.5},
    ),
    "deepseek_v3/groups": Case(
        "deepseek_v3",
        DEEPSEEK
        | {"n_group": 4, "topk_group": 2, "first_k_dense_replace": 1, "norm_topk_prob": True}
        | {"rope_parameters": STEEPENED, "n_shared_experts": 2},
        close=True,
    ),
    "deepseek_v3/options": Case(
        "deepseek_v3",
        DEEPSEEK
        | TIED
        | {"n_group": 1, "topk_group": 1, "first_k_dense_replace": 0, "norm_topk_prob": False}
        | {"q_lora_rank": None, "rope_interleave": False, "attention_bias": True}
        | {"rms_norm_eps": 1e-3},
    ),
    "ernie4_5/tied": Case("ernie4_5", WIDE),
    "ernie4_5/options": Case(
        "ernie4_5",
        WIDE | UNTIED | {"use_bias": True, "rms_norm_eps": 1e-3, "head_dim": 4},
    ),
    "exaone4/mixed": Case("exaone4", SMALL | {"sliding_window_pattern": 2, "sliding_window": 7}),
    "exaone4/all": Case(
        "exaone4",
        SMALL | TIED | {"sliding_window": None, "layer_types": [FULL, FULL]},
    ),
    "glm4/biases": Case("glm4", WIDE),
    "glm4/options": Case(
        "glm4",
        WIDE | TIED | {"attention_bias": False, "rms_norm_eps": 1e-3, "partial_rotary_factor": 1.0},
    ),
    "granitemoe/untied": Case("granitemoe", SMALL | MULTIPLIERS | {"num_local_experts": 3}),
    "granitemoehybrid/dense": Case("granitemoehybrid", GRANITE4),
    "granitemoehybrid/options": Case(
        "granitemoehybrid",
        GRANITE4 | TIED | {"attention_bias": True, "position_embedding_type": None},
    ),
    "granitemoehybrid/mamba": Case(
        "granitemoehybrid",
        GRANITE4
        | {
            "layer_types": [LINEAR, FULL],
            "mamba_n_groups": 2,
            "mamba_d_state": 10,
            "mamba_chunk_size": 16,
            "rms_norm_eps": 1e-4,
            "position_embedding_type": None,
        },
    ),
    "granitemoehybrid/mixture": Case(
        "granitemoehybrid",
        GRANITE4
        | {
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "intermediate_size": 12,
            "layer_types": [FULL, LINEAR],
            "mamba_n_groups": 1,
            "mamba_d_state": 10,
            "mamba_chunk_size": 16,
            "rms_norm_eps": 1e-4,
        },
        close=True,
    ),
    "nemotron_h/mixture": Case(
        "nemotron_h",
        NEMOTRON_H
        | {
            "layers_block_type": [LINEAR, "moe", FULL, "mlp"],
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 12,
            "moe_shared_expert_intermediate_size": 20,
            "routed_scaling_factor": 1.7,
        },
    ),
    "nemotron_h/latent": Case(
        "nemotron_h",
        NEMOTRON_H
        | {
            "layers_block_type": ["moe", LINEAR, FULL],
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 12,
            "moe_shared_expert_intermediate_size": 20,
            "moe_latent_size": 12,
            "norm_topk_prob": False,
        },
        seed=2,
    ),
    "qwen3_next/plain": Case("qwen3_next", QWEN3_NEXT),
    "qwen3_next/options": Case(
        "qwen3_next",
        QWEN3_NEXT
        | TIED
        | {
            "layer_types": [FULL, LINEAR],
            "mlp_only_layers": [1],
            "norm_topk_prob": False,
            "attention_bias": True,
        },
    ),
    "qwen3_5_moe_text/alone": Case("qwen3_5_moe_text", QWEN3_NEXT),
    "qwen3_5_moe/stacked": Case(
        "qwen3_5_moe",
        {
            "text_config": QWEN3_NEXT | {"model_type": "qwen3_5_moe_text"},
            "vision_config": QWEN3_5_VISION | {"model_type": "qwen3_5_moe_vision"},
            **QWEN3_5_IDS,
        },
        stacked=True,
    ),
    "lfm2_moe/plain": Case("lfm2_moe", LFM2_MOE),
    "lfm2_moe/options": Case(
        "lfm2_moe",
        LFM2_MOE
        | UNTIED
        | {
            "layer_types": [FULL, "conv"],
            "num_dense_layers": 0,
            "use_expert_bias": False,
            "norm_topk_prob": False,
            "routed_scaling_factor": 1.5,
            "conv_bias": True,
        },
    ),
    "bamba/plain": Case("bamba", BAMBA),
    "bamba/options": Case(
        "bamba",
        BAMBA
        | TIED
        | {
            "attn_layer_indices": [0],
            "attention_bias": True,
            "mlp_bias": True,
            "mamba_n_groups": 1,
            "mamba_expand": 3,
            "mamba_d_state": 18,
            "mamba_d_conv": 2,
            "mamba_conv_bias": False,
            "mamba_proj_bias": True,
            "time_step_limit": [0.6, 0.9],
            "rms_norm_eps": 1e-3,
        },
    ),
    "falcon_h1/multiplied": Case(
        "falcon_h1", FALCON_H1 | {"attention_in_multiplier": 1.1, "ssm_in_multiplier": 1.25}
    ),
    "falcon_h1/normed": Case(
        "falcon_h1",
        FALCON_H1
        | TIED
        | {
            "mamba_rms_norm": True,
            "mamba_n_groups": 2,
            "attention_bias": True,
            "projectors_bias": True,
            "mamba_proj_bias": True,
            "mlp_bias": True,
        },
    ),
    "falcon_h1/gate_first": Case(
        "falcon_h1",
        FALCON_H1 | {"mamba_rms_norm": True, "mamba_norm_before_gate": False, "mamba_d_ssm": None},
    ),
    "nemotron_h/dense": Case("nemotron_h", NEMOTRON_H),
    "nemotron_h/options": Case(
        "nemotron_h",
        NEMOTRON_H
        | {
            "layers_block_type": [LINEAR, FULL, LINEAR, "mlp"],
            "mlp_bias": True,
            "use_bias": True,
            "use_conv_bias": False,
            "time_step_min": 0.6,
            "conv_kernel": 3,
        },
    ),
    "hunyuan_v1_dense/alpha": Case(
        "hunyuan_v1_dense",
        WIDE | {"rope_parameters": ALPHA},
    ),
    "hunyuan_v1_dense/options": Case(
        "hunyuan_v1_dense",
        WIDE | TIED | {"attention_bias": True, "rms_norm_eps": 1e-3},
    ),
    "kimi_k25/vision": Case(
        "kimi_k25",
        UNTIED
        | {"projection_hidden_size": 16, "vision_config": KIMI_VISION}
        | {
            "text_config": DEEPSEEK
            | {"model_type": "deepseek_v3", "n_group": 1, "topk_group": 1}
            | {"first_k_dense_replace": 1}
        },
    ),
    "minicpm3/plain": Case("minicpm3", MINICPM3),
    "minicpm3/options": Case(
        "minicpm3",
        MINICPM3
        | UNTIED
        | {"q_lora_rank": None, "v_head_dim": 5, "attention_bias": True, "mlp_bias": True}
        | {"scale_depth": None, "dim_model_base": None, "rms_norm_eps": 1e-3},
    ),
    "ministral/mixed": Case(
        "ministral", WIDE | {"layer_types": [SLIDING, FULL], "sliding_window": 7}
    ),
    "mistral3/vision": Case(
        "mistral3",
        UNTIED
        | {"vision_config": PIXTRAL, "image_token_index": 60}
        | {"text_config": WIDE | UNTIED | {"model_type": "mistral", "sliding_window": None}},
    ),
    "nemotron/plain": Case("nemotron", WIDE),
    "nemotron/options": Case(
        "nemotron",
        SMALL
        | TIED
        | {"attention_bias": True, "mlp_bias": True, "norm_eps": 1e-3}
        | {"partial_rotary_factor": 1.0, "hidden_act": "relu"},
    ),
    "olmo3/mixed": Case("olmo3", SMALL | {"num_hidden_layers": 4, "sliding_window": 7}),
    "olmo3/options": Case(
        "olmo3",
        SMALL
        | TIED
        | {"layer_types": [FULL, SLIDING], "sliding_window": 5, "rms_norm_eps": 1e-3}
        | {"rope_parameters": {FULL: YARN, SLIDING: {"rope_type": "default", "rope_theta": 500.0}}},
    ),
    "olmoe/plain": Case("olmoe", MIXTURE),
    "olmoe/options": Case("olmoe", MIXTURE | TIED | {"norm_topk_prob": True}),
    "qwen2_vl/vision": seen(
        "qwen2_vl", SMALL | {"num_attention_heads": 2} | {"rope_parameters": SECTIONS}
    ),
    "qwen2_5_vl/vision": seen(
        "qwen2_5_vl", SMALL | {"num_attention_heads": 2} | {"rope_parameters": SECTIONS}, **TIED
    ),
    "qwen3_vl/vision": seen("qwen3_vl", WIDE | {"rope_parameters": SECTIONS}),
    "qwen3_vl_moe/vision": seen(
        "qwen3_vl_moe",
        WIDE
        | UNTIED
        | {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 12}
        | {"mlp_only_layers": [0], "attention_bias": True, "rope_parameters": SECTIONS},
    ),
    "seed_oss/plain": Case("seed_oss", WIDE),
    "seed_oss/options": Case(
        "seed_oss",
        WIDE
        | TIED
        | {"attention_bias": False, "attention_out_bias": True, "mlp_bias": True}
        | {"rms_norm_eps": 1e-3},
    ),
}
