"""Gemma 4 as published, its text: configs of all dense sizes, and the tensors of two.

Written by hand. The cards state rounded numbers of parameters, of the small ones without the table
of what layers are told: those here round to them.
"""

from __future__ import annotations

from typing import Any

from tests.engine.model.published import BEFORE, Published, Tensors, mlp, norms

Fields = dict[str, Any]
_AT = "model.language_model"
_COMMON: Fields = {
    "attention_bias": False,
    "enable_moe_block": False,
    "final_logit_softcapping": 30.0,
    "global_head_dim": 512,
    "head_dim": 256,
    "hidden_activation": "gelu_pytorch_tanh",
    "rms_norm_eps": 1e-06,
    "rope_parameters": {
        "full_attention": {
            "partial_rotary_factor": 0.25,
            "rope_theta": 1000000.0,
            "rope_type": "proportional",
        },
        "sliding_attention": {"rope_theta": 10000.0, "rope_type": "default"},
    },
    "tie_word_embeddings": True,
    "vocab_size": 262144,
}


def _kinds(layers: int, period: int) -> list[str]:
    kinds = ("sliding_attention", "full_attention")
    return [kinds[(layer + 1) % period == 0] for layer in range(layers)]


def _sizes(width: int, hidden: int, layers: int, heads: int, kv_heads: int, period: int) -> Fields:
    return _COMMON | {
        "hidden_size": width,
        "intermediate_size": hidden,
        "layer_types": _kinds(layers, period),
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "num_key_value_heads": kv_heads,
    }


def _told(shared: int, *, double: bool = False) -> Fields:
    return {
        "attention_k_eq_v": False,
        "hidden_size_per_layer_input": 256,
        "max_position_embeddings": 131072,
        "model_type": "gemma4_text",
        "num_global_key_value_heads": None,
        "num_kv_shared_layers": shared,
        "sliding_window": 512,
        "use_bidirectional_attention": None,
        "use_double_wide_mlp": double,
        "vocab_size_per_layer_input": 262144,
    }


def _large(kv_heads: int) -> Fields:
    return {
        "attention_k_eq_v": True,
        "max_position_embeddings": 262144,
        "num_global_key_value_heads": kv_heads,
        "num_kv_shared_layers": 0,
        "sliding_window": 1024,
        "use_bidirectional_attention": "vision",
        "use_double_wide_mlp": False,
    }


_E4B = _sizes(2560, 10240, 42, 8, 2, 6) | _told(18)
_31B = _sizes(5376, 21504, 60, 32, 16, 6) | _large(4)
_31B |= {"hidden_size_per_layer_input": 0, "model_type": "gemma4_text"}
_12B = _sizes(3840, 15360, 48, 16, 8, 6) | _large(1)

GEMMA4: dict[str, tuple[Fields, int]] = {
    "Gemma-4-E2B": (
        {
            "model_type": "gemma4",
            "text_config": _sizes(1536, 6144, 35, 8, 1, 5) | _told(20, double=True),
        },
        4_628_569_379,
    ),
    "Gemma-4-12B": (
        {
            "model_type": "gemma4_unified",
            "text_config": _12B | {"model_type": "gemma4_unified_text"},
        },
        11_907_350_320,
    ),
}


def _layer(fields: Fields, layer: int) -> Tensors:
    at, width = f"{_AT}.layers.{layer}", fields["hidden_size"]
    full = fields["layer_types"][layer] == "full_attention"
    head_dim, heads = 512 if full else 256, fields["num_attention_heads"]
    equal = full and fields["attention_k_eq_v"]
    kv_heads = fields["num_global_key_value_heads"] if equal else fields["num_key_value_heads"]
    yield f"{at}.self_attn.q_proj.weight", (heads * head_dim, width), "BF16"
    yield f"{at}.self_attn.o_proj.weight", (width, heads * head_dim), "BF16"
    yield from norms(f"{at}.self_attn", head_dim, "q_norm")
    if layer < fields["num_hidden_layers"] - fields["num_kv_shared_layers"]:
        yield from norms(f"{at}.self_attn", head_dim, "k_norm")
        for name in ("k",) if equal else ("k", "v"):
            yield f"{at}.self_attn.{name}_proj.weight", (kv_heads * head_dim, width), "BF16"
    yield from norms(at, width, *BEFORE, "pre_feedforward_layernorm", "post_feedforward_layernorm")
    yield from mlp(f"{at}.mlp", width, fields["intermediate_size"])
    yield f"{at}.layer_scalar", (1,), "BF16"
    if fields["hidden_size_per_layer_input"]:
        yield f"{at}.per_layer_input_gate.weight", (256, width), "BF16"
        yield f"{at}.per_layer_projection.weight", (width, 256), "BF16"
        yield from norms(at, width, "post_per_layer_input_norm")


def _tensors(fields: Fields) -> Tensors:
    width, layers = fields["hidden_size"], fields["num_hidden_layers"]
    yield f"{_AT}.embed_tokens.weight", (262144, width), "BF16"
    yield from norms(_AT, width, "norm")
    for layer in range(layers):
        yield from _layer(fields, layer)
    if fields["hidden_size_per_layer_input"]:
        yield f"{_AT}.embed_tokens_per_layer.weight", (262144, layers * 256), "BF16"
        yield f"{_AT}.per_layer_model_projection.weight", (layers * 256, width), "BF16"
        yield from norms(_AT, 256, "per_layer_projection_norm")


def _published(fields: Fields, parameters: int) -> Published:
    config = {"model_type": "gemma4", "text_config": fields}
    return Published(config, _tensors(fields), 2 * parameters)


def gemma_4_e4b() -> Published:
    """Gemma 4 E4B: 4.6 of its numbers in 10^9 beside the table."""
    return _published(_E4B, 7463013418)


def gemma_4_31b() -> Published:
    """Gemma 4 31B: 30.7 numbers in 10^9."""
    return _published(_31B, 30697345340)


GEMMA4_TENSORS = {"Gemma-4-E4B": gemma_4_e4b, "Gemma-4-31B": gemma_4_31b}
