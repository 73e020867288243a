"""Llama; also Mistral, which is stored as Llama, and Mixtral, which is Llama with experts."""

from __future__ import annotations

from typing import Any

from gptcli.models.gguf import rope, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.sizes import Sizes
from gptcli.models.gguf.takes import Take

_EXPERTS = frozenset({"expert_count", "expert_used_count"})
KEYS = sizes.KEYS | rope.KEYS | rope.YARN_KEYS | _EXPERTS
KEYS |= {"attention.layer_norm_rms_epsilon", "rope.scaling.finetuned", "tensor_data_layout"}
NORMS = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `llama` file. Raises ModelError for what is not supported, by name."""
    fields.only(KEYS)
    fields.fixed("tensor_data_layout", "Meta AI original pth")
    size = sizes.read(fields)
    if fields.get("expert_count"):
        return _mixtral(fields, size)
    return dense(fields, size, "llama", "LlamaForCausalLM", {})


def dense(
    fields: Fields, size: Sizes, model_type: str, architecture: str, more: dict[str, Any]
) -> ConversionPlan:
    """The plan of a model that is stored as Llama; more: fields of its config.json."""
    attention_bias = any(fields.has(f"blk.0.{part}.bias") for part in ("attn_q", "attn_output"))
    mlp_bias = fields.has("blk.0.ffn_up.bias")
    config = {
        **common(fields, size, model_type, architecture),
        "attention_bias": attention_bias,
        "mlp_bias": mlp_bias,
        **more,
    }
    attention = layout.attention(
        size, turned=True, qkv_bias=attention_bias, out_bias=attention_bias
    )
    takes = layout.whole(size, [*attention, *_norms(size), *layout.gated_mlp(size, bias=mlp_bias)])
    return ConversionPlan(config, takes, frozenset({rope.FREQUENCIES}))


def common(fields: Fields, size: Sizes, model_type: str, architecture: str) -> dict[str, Any]:
    """The config.json of a model with RMSNorm and rotary positions of whole heads."""
    fields.fixed("rope.dimension_count", size.head_dim)
    return {
        **sizes.config(size, model_type, architecture, "silu"),
        "head_dim": size.head_dim,
        "rms_norm_eps": fields.real("attention.layer_norm_rms_epsilon"),
        **rope.fields_of(fields, size.head_dim),
    }


def _mixtral(fields: Fields, size: Sizes) -> ConversionPlan:
    experts, used = sizes.experts(fields)
    config = {
        **common(fields, size, "mixtral", "MixtralForCausalLM"),
        "num_local_experts": experts,
        "num_experts_per_tok": used,
        "sliding_window": None,
    }
    names = ("w1", "w3", "w2")
    mixture = layout.mixture(size, experts, size.hidden, "block_sparse_moe", names)
    takes = layout.whole(size, [*layout.attention(size, turned=True), *_norms(size), *mixture])
    return ConversionPlan(config, takes, frozenset({rope.FREQUENCIES}))


def _norms(size: Sizes) -> list[Take]:
    return layout.norms(size.width, NORMS)
