"""Cohere's Command R and Aya: one norm for attention and MLP side by side, scaled logits.

Its rotary positions turn neighbours, in transformers as in llama.cpp, so rows keep their order.
"""

from __future__ import annotations

from gptcli.models.gguf import rope, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.takes import Take
from gptcli.models.gguf.tensors import BLOCK, LAYER

_KEYS = sizes.KEYS | rope.KEYS | {"attention.layer_norm_epsilon", "logit_scale"}


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `command-r` file. Raises ModelError for what is not supported, by name."""
    fields.only(_KEYS)
    size = sizes.read(fields)
    fields.fixed("rope.dimension_count", size.head_dim)
    normed = fields.has("blk.0.attn_q_norm.weight")
    config = {
        **sizes.config(size, "cohere", "CohereForCausalLM", "silu"),
        "attention_bias": False,
        "layer_norm_eps": fields.real("attention.layer_norm_epsilon"),
        "logit_scale": fields.real("logit_scale"),
        "use_qk_norm": normed,
        **rope.fields_of(fields, size.head_dim),
    }
    parts = [
        *layout.attention(size),
        *layout.norms(size.width, {"input_layernorm": "attn_norm"}),
        *layout.gated_mlp(size),
    ]
    for part, heads in (("q", size.heads), ("k", size.kv_heads)) if normed else ():
        name, source = f"{LAYER}.self_attn.{part}_norm", f"{BLOCK}.attn_{part}_norm"
        parts.append(Take(f"{name}.weight", f"{source}.weight", (heads, size.head_dim)))
    return ConversionPlan(config, layout.whole(size, parts))
