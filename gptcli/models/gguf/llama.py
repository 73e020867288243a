"""GGUF's `llama` architecture as a Hugging Face `llama` configuration and tensor plan.

Keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; tensor names: `MODEL_TENSORS` in
llama.cpp's gguf-py.
"""

from __future__ import annotations

import math
from typing import Any

from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import Plan, Take

_KNOWN = frozenset(
    {
        "attention.head_count",
        "attention.head_count_kv",
        "attention.key_length",
        "attention.layer_norm_rms_epsilon",
        "attention.value_length",
        "block_count",
        "context_length",
        "embedding_length",
        "expert_count",
        "expert_used_count",
        "feed_forward_length",
        "rope.dimension_count",
        "rope.freq_base",
        "rope.scaling.factor",
        "rope.scaling.finetuned",
        "rope.scaling.original_context_length",
        "rope.scaling.type",
        "tensor_data_layout",
        "vocab_size",
    }
)
_ROPE_FREQS = "rope_freqs.weight"
#: The Llama 3 rope scalings in use: the file holds their effect, not their parameters.
_LLAMA3 = tuple(
    {
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    for factor in (8.0, 32.0)
)


def plan(fields: Fields) -> Plan:
    """The plan of a `llama` file. Raises ModelError for what is not supported, by name."""
    fields.only(_KNOWN)
    fields.fixed("expert_count", 0)
    fields.fixed("expert_used_count", 0)
    fields.fixed("tensor_data_layout", "Meta AI original pth")
    tensors = fields.header.tensors
    if "token_embd.weight" not in tensors:
        raise fields.error("lacks the tensor token_embd.weight")
    width = fields.count("embedding_length")
    heads = fields.count("attention.head_count")
    kv_heads = fields.count("attention.head_count_kv", heads)
    head_dim = fields.count("attention.key_length", max(1, width // heads))
    fields.fixed("attention.value_length", head_dim)
    fields.fixed("rope.dimension_count", head_dim)
    if heads % kv_heads or head_dim % 2:
        raise fields.error(f"cannot have {heads} heads of {head_dim} with {kv_heads} of keys")
    tied = "output.weight" not in tensors
    attention_bias = any(name.endswith(("attn_q.bias", "attn_output.bias")) for name in tensors)
    mlp_bias = any(name.endswith("ffn_up.bias") for name in tensors)
    config: dict[str, Any] = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "attention_bias": attention_bias,
        "attention_dropout": 0.0,
        "head_dim": head_dim,
        "hidden_act": "silu",
        "hidden_size": width,
        "initializer_range": 0.02,
        "intermediate_size": fields.count("feed_forward_length"),
        "max_position_embeddings": fields.count("context_length"),
        "mlp_bias": mlp_bias,
        "num_attention_heads": heads,
        "num_hidden_layers": fields.layers(),
        "num_key_value_heads": kv_heads,
        "rms_norm_eps": fields.real("attention.layer_norm_rms_epsilon"),
        "rope_theta": fields.real("rope.freq_base", 10000.0),
        "tie_word_embeddings": tied,
        "vocab_size": fields.count("vocab_size", tensors["token_embd.weight"].shape[0]),
    }
    config["rope_scaling"] = _rope_scaling(fields, head_dim, config["rope_theta"])
    return Plan(config, tuple(_takes(config)), frozenset({_ROPE_FREQS}))


def _takes(config: dict[str, Any]) -> list[Take]:
    width, inner = config["hidden_size"], config["intermediate_size"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    queries, keys = heads * config["head_dim"], kv_heads * config["head_dim"]
    vocabulary = (config["vocab_size"], width)
    linears = [
        ("self_attn.q_proj", "attn_q", queries, width, heads, config["attention_bias"]),
        ("self_attn.k_proj", "attn_k", keys, width, kv_heads, config["attention_bias"]),
        ("self_attn.v_proj", "attn_v", keys, width, 0, config["attention_bias"]),
        ("self_attn.o_proj", "attn_output", width, queries, 0, config["attention_bias"]),
        ("mlp.gate_proj", "ffn_gate", inner, width, 0, config["mlp_bias"]),
        ("mlp.up_proj", "ffn_up", inner, width, 0, config["mlp_bias"]),
        ("mlp.down_proj", "ffn_down", width, inner, 0, config["mlp_bias"]),
    ]
    takes = [Take("model.embed_tokens.weight", "token_embd.weight", vocabulary)]
    for layer in range(config["num_hidden_layers"]):
        ours, theirs = f"model.layers.{layer}", f"blk.{layer}"
        takes.append(Take(f"{ours}.input_layernorm.weight", f"{theirs}.attn_norm.weight", (width,)))
        for name, source, rows, columns, split, bias in linears:
            shape = (rows, columns)
            takes.append(
                Take(f"{ours}.{name}.weight", f"{theirs}.{source}.weight", shape, heads=split)
            )
            if bias:
                takes.append(
                    Take(f"{ours}.{name}.bias", f"{theirs}.{source}.bias", (rows,), heads=split)
                )
        norm = f"{ours}.post_attention_layernorm.weight"
        takes.append(Take(norm, f"{theirs}.ffn_norm.weight", (width,)))
    takes.append(Take("model.norm.weight", "output_norm.weight", (width,)))
    if not config["tie_word_embeddings"]:
        takes.append(Take("lm_head.weight", "output.weight", vocabulary))
    return takes


def _rope_scaling(fields: Fields, head_dim: int, base: float) -> dict[str, Any] | None:
    fields.fixed("rope.scaling.type", "none", "linear")
    linear = fields.get("rope.scaling.type") == "linear"
    info = fields.header.tensors.get(_ROPE_FREQS)
    if info is None:
        if linear:
            return {"rope_type": "linear", "factor": fields.real("rope.scaling.factor")}
        fields.fixed("rope.scaling.factor", 0.0, 1.0)
        return None
    if linear or info.type != "F32" or info.shape != (head_dim // 2,):
        raise fields.error(f"{_ROPE_FREQS} is of a form that is not supported")
    import numpy as np

    divisors = np.memmap(
        fields.header.path, dtype="<f4", mode="r", offset=info.offset, shape=info.shape
    )
    for scaling in _LLAMA3:
        if np.allclose(divisors, llama3_divisors(scaling, head_dim, base), rtol=1e-4, atol=0):
            return dict(scaling)
    raise fields.error(f"{_ROPE_FREQS} is not a known rope scaling")


def llama3_divisors(scaling: dict[str, Any], head_dim: int, base: float) -> list[float]:
    """What Llama 3's rope scaling divides each of the head_dim / 2 frequencies by.

    Low frequencies (long waves) by `factor`, high ones by 1, those between by a mean of both.
    """
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    context, factor = scaling["original_max_position_embeddings"], scaling["factor"]
    found = []
    for pair in range(0, head_dim, 2):
        turns = context / (2 * math.pi * base ** (pair / head_dim))
        share = min(1.0, max(0.0, (turns - low) / (high - low)))
        found.append(1 / ((1 - share) / factor + share))
    return found
