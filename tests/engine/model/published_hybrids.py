"""Models with a state in most layers as they are published, as published.py has others."""

from __future__ import annotations

from typing import Any

from tests.engine.model.published import BEFORE, Published, Tensors, ends, mlp, norms

_NANO = "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME"
_NANO_2 = "M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-"


def nemotron_3_nano() -> Published:
    """Nemotron-3-Nano-30B-A3B."""
    config = {
        "architectures": ["NemotronHForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "chunk_size": 128,
        "conv_kernel": 4,
        "expand": 2,
        "head_dim": 128,
        "hidden_size": 2688,
        "hybrid_override_pattern": _NANO,
        "intermediate_size": 1856,
        "layer_norm_epsilon": 1e-05,
        "mamba_head_dim": 64,
        "mamba_hidden_act": "silu",
        "mamba_num_heads": 64,
        "mamba_proj_bias": False,
        "max_position_embeddings": 262144,
        "mlp_bias": False,
        "mlp_hidden_act": "relu2",
        "model_type": "nemotron_h",
        "moe_intermediate_size": 1856,
        "moe_shared_expert_intermediate_size": 3712,
        "n_group": 1,
        "n_groups": 8,
        "n_routed_experts": 128,
        "n_shared_experts": 1,
        "norm_topk_prob": True,
        "num_attention_heads": 32,
        "num_experts_per_tok": 6,
        "num_hidden_layers": 52,
        "num_key_value_heads": 2,
        "partial_rotary_factor": 1.0,
        "residual_in_fp32": False,
        "rope_theta": 10000,
        "routed_scaling_factor": 2.5,
        "sliding_window": None,
        "ssm_state_size": 128,
        "tie_word_embeddings": False,
        "time_step_floor": 0.0001,
        "time_step_limit": [0.0, float("inf")],
        "time_step_max": 0.1,
        "time_step_min": 0.001,
        "topk_group": 1,
        "use_bias": False,
        "use_conv_bias": True,
        "vocab_size": 131072,
    }
    total = 2 * 31577937344 + 4 * 23 * 128
    return Published(config, _nano_tensors(), total)


def _nano_tensors() -> Tensors:
    for name in ("backbone.embeddings", "lm_head"):
        yield f"{name}.weight", (131072, 2688), "BF16"
    yield from norms("backbone", 2688, "norm_f")
    for i, kind in enumerate(_NANO):
        yield from norms(f"backbone.layers.{i}", 2688, "norm")
        at = f"backbone.layers.{i}.mixer"
        if kind == "*":
            for name, rows in (("q", 4096), ("k", 256), ("v", 256)):
                yield f"{at}.{name}_proj.weight", (rows, 2688), "BF16"
            yield f"{at}.o_proj.weight", (2688, 4096), "BF16"
        elif kind == "M":
            yield f"{at}.in_proj.weight", (10304, 2688), "BF16"
            yield f"{at}.conv1d.weight", (6144, 1, 4), "BF16"
            yield f"{at}.conv1d.bias", (6144,), "BF16"
            for name in ("A_log", "D", "dt_bias"):
                yield f"{at}.{name}", (64,), "BF16"
            yield f"{at}.norm.weight", (4096,), "BF16"
            yield f"{at}.out_proj.weight", (2688, 4096), "BF16"
        else:
            yield f"{at}.gate.weight", (128, 2688), "BF16"
            yield f"{at}.gate.e_score_correction_bias", (128,), "F32"
            sizes = {"shared_experts": 3712} | {f"experts.{n}": 1856 for n in range(128)}
            for name, hidden in sizes.items():
                yield f"{at}.{name}.up_proj.weight", (hidden, 2688), "BF16"
                yield f"{at}.{name}.down_proj.weight", (2688, hidden), "BF16"


def qwen3_next_80b() -> Published:
    """Qwen3-Next-80B-A3B, with what guesses the token after the next."""
    config = {
        "architectures": ["Qwen3NextForCausalLM"],
        "attention_dropout": 0.0,
        "decoder_sparse_step": 1,
        "full_attention_interval": 4,
        "head_dim": 256,
        "hidden_act": "silu",
        "hidden_size": 2048,
        "intermediate_size": 5120,
        "linear_conv_kernel_dim": 4,
        "linear_key_head_dim": 128,
        "linear_num_key_heads": 16,
        "linear_num_value_heads": 32,
        "linear_value_head_dim": 128,
        "max_position_embeddings": 262144,
        "mlp_only_layers": [],
        "model_type": "qwen3_next",
        "moe_intermediate_size": 512,
        "norm_topk_prob": True,
        "num_attention_heads": 16,
        "num_experts": 512,
        "num_experts_per_tok": 10,
        "num_hidden_layers": 48,
        "num_key_value_heads": 2,
        "partial_rotary_factor": 0.25,
        "rms_norm_eps": 1e-06,
        "rope_scaling": None,
        "rope_theta": 10000000,
        "shared_expert_intermediate_size": 512,
        "tie_word_embeddings": False,
        "use_sliding_window": False,
        "vocab_size": 151936,
    }
    return Published(config, _next_tensors(), 2 * 81324862720, ("mtp.",))


def _next_tensors() -> Tensors:
    yield from ends(2048, 151936)
    yield "mtp.fc.weight", (2048, 4096), "BF16"
    yield from norms("mtp", 2048, "norm", "pre_fc_norm_embedding", "pre_fc_norm_hidden")
    for at in ("mtp.layers.0", *(f"model.layers.{i}" for i in range(48))):
        yield from norms(at, 2048, *BEFORE)
        if at.startswith("mtp") or (int(at.split(".")[-1]) + 1) % 4 == 0:
            for name, rows in (("q", 8192), ("k", 512), ("v", 512)):
                yield f"{at}.self_attn.{name}_proj.weight", (rows, 2048), "BF16"
            yield f"{at}.self_attn.o_proj.weight", (2048, 4096), "BF16"
            yield from norms(f"{at}.self_attn", 256, "q_norm", "k_norm")
        else:
            yield f"{at}.linear_attn.in_proj_qkvz.weight", (12288, 2048), "BF16"
            yield f"{at}.linear_attn.in_proj_ba.weight", (64, 2048), "BF16"
            yield f"{at}.linear_attn.conv1d.weight", (8192, 1, 4), "BF16"
            for name in ("A_log", "dt_bias"):
                yield f"{at}.linear_attn.{name}", (32,), "BF16"
            yield f"{at}.linear_attn.norm.weight", (128,), "BF16"
            yield f"{at}.linear_attn.out_proj.weight", (2048, 4096), "BF16"
        yield f"{at}.mlp.gate.weight", (512, 2048), "BF16"
        yield f"{at}.mlp.shared_expert_gate.weight", (1, 2048), "BF16"
        for part in ("shared_expert", *(f"experts.{n}" for n in range(512))):
            yield from mlp(f"{at}.mlp.{part}", 2048, 512)


LARGE = {"Nemotron-3-Nano": nemotron_3_nano, "Qwen3-Next-80B": qwen3_next_80b}


def _granite(full: tuple[int, ...], layers: int) -> list[str]:
    return ["attention" if i in full else "mamba" for i in range(layers)]


#: Their configs and parameters. Of Bamba the card states a rounded number: that here rounds to it.
SMALL: dict[str, tuple[dict[str, Any], int]] = {
    "Bamba-9B": (
        {
            "model_type": "bamba",
            "attn_layer_indices": [9, 18, 27],
            "attn_rotary_emb": 64,
            "hidden_size": 4096,
            "intermediate_size": 14336,
            "mamba_d_head": 64,
            "mamba_d_state": 128,
            "mamba_n_heads": 128,
            "num_attention_heads": 32,
            "num_hidden_layers": 32,
            "num_key_value_heads": 8,
            "rms_norm_eps": 1e-05,
            "vocab_size": 128256,
        },
        9_780_235_392,
    ),
    "Falcon-H1-0.5B": (
        {
            "model_type": "falcon_h1",
            "attention_in_multiplier": 1.0,
            "attention_out_multiplier": 0.9375,
            "attn_layer_indices": None,
            "embedding_multiplier": 5.656854249492381,
            "head_dim": 64,
            "hidden_size": 1024,
            "intermediate_size": 2048,
            "key_multiplier": 0.39062499999999994,
            "lm_head_multiplier": 0.0390625,
            "mamba_d_head": 64,
            "mamba_d_ssm": 1536,
            "mamba_d_state": 128,
            "mamba_n_groups": 1,
            "mamba_n_heads": 24,
            "mamba_norm_before_gate": False,
            "mamba_rms_norm": False,
            "max_position_embeddings": 16384,
            "mlp_multipliers": [0.8838834764831844, 0.5859375],
            "num_attention_heads": 8,
            "num_hidden_layers": 36,
            "num_key_value_heads": 2,
            "projectors_bias": False,
            "rope_theta": 100000000000.0,
            "tie_word_embeddings": False,
            "vocab_size": 32784,
        },
        521_411_104,
    ),
    "Nemotron-Nano-9B-v2": (
        {
            "model_type": "nemotron_h",
            "head_dim": 128,
            "hidden_size": 4480,
            "hybrid_override_pattern": _NANO_2,
            "intermediate_size": 15680,
            "mamba_head_dim": 80,
            "mamba_num_heads": 128,
            "n_groups": 8,
            "num_attention_heads": 40,
            "num_hidden_layers": 56,
            "num_key_value_heads": 8,
            "ssm_state_size": 128,
            "vocab_size": 131072,
        },
        8_888_227_328,
    ),
    "granite-4.0-h-small": (
        {
            "model_type": "granitemoehybrid",
            "attention_multiplier": 0.0078125,
            "embedding_multiplier": 12,
            "hidden_size": 4096,
            "intermediate_size": 768,
            "layer_types": _granite((5, 15, 25, 35), 40),
            "logits_scaling": 16,
            "mamba_d_head": 64,
            "mamba_d_state": 128,
            "mamba_n_heads": 128,
            "max_position_embeddings": 131072,
            "num_attention_heads": 32,
            "num_experts_per_tok": 10,
            "num_hidden_layers": 40,
            "num_key_value_heads": 8,
            "num_local_experts": 72,
            "position_embedding_type": "nope",
            "residual_multiplier": 0.22,
            "rms_norm_eps": 1e-05,
            "rope_theta": 10000,
            "shared_intermediate_size": 1536,
            "tie_word_embeddings": True,
            "vocab_size": 100352,
        },
        32_207_337_984,
    ),
    "LFM2-8B-A1B": (
        {
            "model_type": "lfm2_moe",
            "conv_L_cache": 3,
            "hidden_size": 2048,
            "intermediate_size": 7168,
            "layer_types": [
                "full_attention" if i in (2, 6, 10, 14, 18, 21) else "conv" for i in range(24)
            ],
            "moe_intermediate_size": 1792,
            "norm_eps": 1e-05,
            "norm_topk_prob": True,
            "num_attention_heads": 32,
            "num_dense_layers": 2,
            "num_experts": 32,
            "num_experts_per_tok": 4,
            "num_hidden_layers": 24,
            "num_key_value_heads": 8,
            "rope_theta": 1000000.0,
            "routed_scaling_factor": 1.0,
            "use_expert_bias": True,
            "vocab_size": 65536,
        },
        8_339_929_856 + 704,
    ),
    "Qwen3.5-35B-A3B": (
        {
            "model_type": "qwen3_5_moe",
            "text_config": {
                "model_type": "qwen3_5_moe_text",
                "hidden_size": 2048,
                "moe_intermediate_size": 512,
                "num_attention_heads": 16,
                "num_experts": 256,
                "num_experts_per_tok": 8,
                "num_hidden_layers": 40,
                "num_key_value_heads": 2,
                "shared_expert_intermediate_size": 512,
                "vocab_size": 248320,
            },
        },
        34_660_610_688,
    ),
}
SMALL["its text model"] = (SMALL["Qwen3.5-35B-A3B"][0]["text_config"], 34_660_610_688)
