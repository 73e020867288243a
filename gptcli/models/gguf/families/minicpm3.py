"""MiniCPM3: latent attention in every layer, and multipliers that its files do not tell."""

from __future__ import annotations

from typing import Any

from gptcli.models.gguf import rope, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import deepseek2, llama
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan

_CONTEXT = "rope.scaling.original_context_length"
_KEYS = sizes.KEYS | {"attention.layer_norm_rms_epsilon", "rope.dimension_count", "rope.freq_base"}
_KEYS |= {"attention.q_lora_rank", "attention.kv_lora_rank", _CONTEXT}
#: As in llama.cpp: those of MiniCPM3-4B.
_MULTIPLIERS = {"scale_emb": 12, "scale_depth": 1.4, "dim_model_base": 256}


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `minicpm3` file. Raises ModelError for what is not supported, by name."""
    fields.only(_KEYS)
    size = sizes.read(fields, latent=True)
    fields.fixed("attention.head_count_kv", size.heads)
    ranks = fields.count("attention.kv_lora_rank"), fields.count("attention.q_lora_rank")
    turned = fields.count("rope.dimension_count")
    if turned >= size.head_dim or turned % 2:
        raise fields.error(f"turns {turned} features of heads that have {size.head_dim}")
    value = fields.count("attention.value_length", size.width // size.heads)
    plain = size.head_dim - turned
    config = {
        **sizes.config(size, "minicpm3", "MiniCPM3ForCausalLM", "silu"),
        **_MULTIPLIERS,
        "attention_bias": False,
        "kv_lora_rank": ranks[0],
        "mlp_bias": False,
        "q_lora_rank": ranks[1],
        "qk_nope_head_dim": plain,
        "qk_rope_head_dim": turned,
        "rms_norm_eps": fields.real("attention.layer_norm_rms_epsilon"),
        "v_head_dim": value,
        **_rope(fields, size.context, turned),
    }
    parts = [
        *deepseek2.attention(fields, size, ranks, (plain, turned, value)),
        *layout.norms(size.width, llama.NORMS),
        *layout.gated_mlp(size),
    ]
    return ConversionPlan(config, layout.whole(size, parts), rope.LONG)


def _rope(fields: Fields, context: int, turned: int) -> dict[str, Any]:
    """LongRoPE, where the file has its factors: cosines and sines stay as long as they are."""
    found: dict[str, Any] = {"rope_theta": fields.real("rope.freq_base", 10000.0)}
    scaling = rope.long(fields, turned // 2)
    if scaling is not None:
        scaling["original_max_position_embeddings"] = fields.count(_CONTEXT, context)
        found["rope_scaling"] = {**scaling, "attention_factor": 1.0}
    return found
