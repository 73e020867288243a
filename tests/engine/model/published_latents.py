"""Models with latent attention as they are published: see published.py and published_later.py.

Of MiniCPM3 and GLM-4.7-Flash the cards state rounded numbers of parameters: those here round to
them.
"""

from __future__ import annotations

from typing import Any

from tests.engine.model.published import BEFORE, Published, Tensors, ends, mlp, norms

Fields = dict[str, Any]

_V3: Fields = {
    "architectures": ["DeepseekV3ForCausalLM"],
    "attention_bias": False,
    "first_k_dense_replace": 3,
    "hidden_act": "silu",
    "hidden_size": 7168,
    "intermediate_size": 18432,
    "kv_lora_rank": 512,
    "max_position_embeddings": 163840,
    "model_type": "deepseek_v3",
    "moe_intermediate_size": 2048,
    "moe_layer_freq": 1,
    "n_group": 8,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "norm_topk_prob": True,
    "num_attention_heads": 128,
    "num_experts_per_tok": 8,
    "num_hidden_layers": 61,
    "num_key_value_heads": 128,
    "num_nextn_predict_layers": 1,
    "q_lora_rank": 1536,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "rms_norm_eps": 1e-06,
    "rope_scaling": {
        "beta_fast": 32,
        "beta_slow": 1,
        "factor": 40,
        "mscale": 1.0,
        "mscale_all_dim": 1.0,
        "original_max_position_embeddings": 4096,
        "type": "yarn",
    },
    "rope_theta": 10000,
    "routed_scaling_factor": 2.5,
    "scoring_func": "sigmoid",
    "tie_word_embeddings": False,
    "topk_group": 4,
    "topk_method": "noaux_tc",
    "torch_dtype": "bfloat16",
    "v_head_dim": 128,
    "vocab_size": 129280,
}
_K2: Fields = _V3 | {
    "first_k_dense_replace": 1,
    "max_position_embeddings": 131072,
    "model_type": "kimi_k2",
    "n_group": 1,
    "n_routed_experts": 384,
    "num_attention_heads": 64,
    "num_key_value_heads": 64,
    "num_nextn_predict_layers": 0,
    "rope_scaling": {
        "beta_fast": 1.0,
        "beta_slow": 1.0,
        "factor": 32.0,
        "mscale": 1.0,
        "mscale_all_dim": 1.0,
        "original_max_position_embeddings": 4096,
        "type": "yarn",
    },
    "rope_theta": 50000.0,
    "routed_scaling_factor": 2.827,
    "topk_group": 1,
    "vocab_size": 163840,
}


def _layer(i: int, heads: int, experts: int, dense: int) -> Tensors:
    at = f"model.layers.{i}"
    for name, shape in (
        ("q_a_proj", (1536, 7168)),
        ("q_b_proj", (heads * 192, 1536)),
        ("kv_a_proj_with_mqa", (576, 7168)),
        ("kv_b_proj", (heads * 256, 512)),
        ("o_proj", (7168, heads * 128)),
    ):
        yield f"{at}.self_attn.{name}.weight", shape, "BF16"
    yield from norms(at, 1536, "self_attn.q_a_layernorm")
    yield from norms(at, 512, "self_attn.kv_a_layernorm")
    yield from norms(at, 7168, *BEFORE)
    if i < dense:
        yield from mlp(f"{at}.mlp", 7168, 18432)
        return
    yield f"{at}.mlp.gate.weight", (experts, 7168), "BF16"
    yield f"{at}.mlp.gate.e_score_correction_bias", (experts,), "F32"
    for part in ("shared_experts", *(f"experts.{n}" for n in range(experts))):
        yield from mlp(f"{at}.mlp.{part}", 7168, 2048)


def deepseek_v3() -> Published:
    """DeepSeek-V3, dequantised, with one more layer that guesses the token after the next."""

    def tensors() -> Tensors:
        yield from ends(7168, 129280)
        for i in range(62):
            yield from _layer(i, 128, 256, 3)
        last = "model.layers.61"
        yield f"{last}.eh_proj.weight", (7168, 2 * 7168), "BF16"
        yield from norms(last, 7168, "enorm", "hnorm", "shared_head.norm")
        for name in ("embed_tokens", "shared_head.head"):
            yield f"{last}.{name}.weight", (129280, 7168), "BF16"

    # The hub states 680,571,043,840 parameters in float8 and 3,918,786,560 in bfloat16; beside them
    # are scales and 59 corrections in float32.
    size = 2 * (680571043840 + 3918786560) + 4 * 59 * 256
    return Published(_V3, tensors(), size, ("model.layers.61.",))


def kimi_k2() -> Published:
    """Kimi-K2, dequantised; its type is that of code of its own, which is DeepSeek-V3's."""

    def tensors() -> Tensors:
        yield from ends(7168, 163840)
        for i in range(61):
            yield from _layer(i, 64, 384, 1)

    # The hub states 1,026,408,232,448 parameters, of which 60 times 384 take four bytes.
    return Published(_K2, tensors(), 2 * 1026408232448 + 2 * 60 * 384)


MODELS = {"DeepSeek-V3": deepseek_v3, "Kimi-K2": kimi_k2}

LATENT: dict[str, tuple[Fields, int]] = {
    "DeepSeek-V2-Lite": (
        {
            "model_type": "deepseek_v2",
            "attention_bias": False,
            "first_k_dense_replace": 1,
            "hidden_size": 2048,
            "intermediate_size": 10944,
            "kv_lora_rank": 512,
            "max_position_embeddings": 163840,
            "moe_intermediate_size": 1408,
            "moe_layer_freq": 1,
            "n_group": 1,
            "n_routed_experts": 64,
            "n_shared_experts": 2,
            "norm_topk_prob": False,
            "num_attention_heads": 16,
            "num_experts_per_tok": 6,
            "num_hidden_layers": 27,
            "num_key_value_heads": 16,
            "q_lora_rank": None,
            "qk_nope_head_dim": 128,
            "qk_rope_head_dim": 64,
            "rms_norm_eps": 1e-06,
            "rope_scaling": {
                "beta_fast": 32,
                "beta_slow": 1,
                "factor": 40,
                "mscale": 0.707,
                "mscale_all_dim": 0.707,
                "original_max_position_embeddings": 4096,
                "type": "yarn",
            },
            "rope_theta": 10000,
            "routed_scaling_factor": 1.0,
            "scoring_func": "softmax",
            "tie_word_embeddings": False,
            "topk_group": 1,
            "topk_method": "greedy",
            "v_head_dim": 128,
            "vocab_size": 102400,
        },
        15_706_484_224,
    ),
    "MiniCPM3-4B": (
        {
            "model_type": "minicpm3",
            "dim_model_base": 256,
            "hidden_size": 2560,
            "intermediate_size": 6400,
            "kv_lora_rank": 256,
            "max_position_embeddings": 32768,
            "num_attention_heads": 40,
            "num_hidden_layers": 62,
            "num_key_value_heads": 40,
            "q_lora_rank": 768,
            "qk_nope_head_dim": 64,
            "qk_rope_head_dim": 32,
            "rms_norm_eps": 1e-05,
            "rope_scaling": {
                "type": "longrope",
                "long_factor": [1.0 + n for n in range(16)],
                "short_factor": [1.0 + n for n in range(16)],
                "original_max_position_embeddings": 32768,
            },
            "scale_depth": 1.4,
            "scale_emb": 12,
            "vocab_size": 73448,
        },
        4_073_875_968,
    ),
    "GLM-4.7-Flash": (
        {
            "model_type": "glm4_moe_lite",
            "attention_bias": False,
            "first_k_dense_replace": 1,
            "hidden_size": 2048,
            "intermediate_size": 10240,
            "kv_lora_rank": 512,
            "max_position_embeddings": 202752,
            "moe_intermediate_size": 1536,
            "n_group": 1,
            "n_routed_experts": 64,
            "n_shared_experts": 1,
            "norm_topk_prob": True,
            "num_attention_heads": 20,
            "num_experts_per_tok": 4,
            "num_hidden_layers": 47,
            "num_key_value_heads": 20,
            "num_nextn_predict_layers": 1,
            "partial_rotary_factor": 1.0,
            "q_lora_rank": 768,
            "qk_nope_head_dim": 192,
            "qk_rope_head_dim": 64,
            "rms_norm_eps": 1e-05,
            "rope_scaling": None,
            "rope_theta": 1000000,
            "routed_scaling_factor": 1.8,
            "tie_word_embeddings": False,
            "topk_group": 1,
            "topk_method": "noaux_tc",
            "v_head_dim": 256,
            "vocab_size": 154880,
        },
        29_943_393_920,
    ),
    "Kimi-K2.5": (
        {
            "model_type": "kimi_k25",
            "tie_word_embeddings": False,
            "text_config": _K2 | {"max_position_embeddings": 262144},
        },
        1_026_408_232_448,
    ),
}
