"""Large mixtures as they are published, as published.py has others."""

from __future__ import annotations

from tests.engine.model.published import (
    BEFORE,
    Published,
    Tensors,
    attention,
    ends,
    mlp,
    norms,
)


def glm_4_5_air() -> Published:
    """GLM-4.5-Air, with one more layer that guesses the token after the next."""
    config = {
        "architectures": ["Glm4MoeForCausalLM"],
        "attention_bias": True,
        "attention_dropout": 0.0,
        "eos_token_id": [151329, 151336, 151338],
        "first_k_dense_replace": 1,
        "head_dim": 128,
        "hidden_act": "silu",
        "hidden_size": 4096,
        "intermediate_size": 10944,
        "max_position_embeddings": 131072,
        "model_type": "glm4_moe",
        "moe_intermediate_size": 1408,
        "n_group": 1,
        "n_routed_experts": 128,
        "n_shared_experts": 1,
        "norm_topk_prob": True,
        "num_attention_heads": 96,
        "num_experts_per_tok": 8,
        "num_hidden_layers": 46,
        "num_key_value_heads": 8,
        "num_nextn_predict_layers": 1,
        "partial_rotary_factor": 0.5,
        "rms_norm_eps": 1e-05,
        "rope_scaling": None,
        "rope_theta": 1000000,
        "routed_scaling_factor": 1.0,
        "tie_word_embeddings": False,
        "topk_group": 1,
        "torch_dtype": "bfloat16",
        "use_qk_norm": False,
        "vocab_size": 151552,
    }

    def tensors() -> Tensors:
        yield from ends(4096, 151552)
        for i in range(47):
            at = f"model.layers.{i}"
            yield from attention(at, 4096, 96, 8, 128)
            for name, heads in (("q", 96), ("k", 8), ("v", 8)):
                yield f"{at}.self_attn.{name}_proj.bias", (heads * 128,), "BF16"
            yield from norms(at, 4096, *BEFORE)
            if i == 0:
                yield from mlp(f"{at}.mlp", 4096, 10944)
                continue
            yield f"{at}.mlp.gate.weight", (128, 4096), "BF16"
            yield f"{at}.mlp.gate.e_score_correction_bias", (128,), "F32"
            for part in ("shared_experts", *(f"experts.{n}" for n in range(128))):
                yield from mlp(f"{at}.mlp.{part}", 4096, 1408)
        last = "model.layers.46"
        yield f"{last}.eh_proj.weight", (4096, 2 * 4096), "BF16"
        yield from norms(last, 4096, "enorm", "hnorm", "shared_head.norm")
        for name in ("embed_tokens", "shared_head.head"):
            yield f"{last}.{name}.weight", (151552, 4096), "BF16"

    # The hub states 110,468,824,832 parameters, of which 46 times 128 take four bytes.
    return Published(config, tensors(), 2 * 110468824832 + 2 * 46 * 128, ("model.layers.46.",))


MIXTURES = {"GLM-4.5-Air": glm_4_5_air}
