"""Hunyuan, dense: norms of each head's queries and keys, behind the rotary positions.

The file has the base of these as its NTK scaling makes it.
"""

from __future__ import annotations

from gptcli.models.gguf import sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import llama, qwen2
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan

_HEAD_NORMS = {
    "self_attn.query_layernorm": "attn_q_norm",
    "self_attn.key_layernorm": "attn_k_norm",
}


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `hunyuan-dense` file. Raises ModelError for what is not supported, by name."""
    fields.only(qwen2.KEYS)
    size = sizes.read(fields)
    config = {
        **llama.common(fields, size, "hunyuan_v1_dense", "HunYuanDenseV1ForCausalLM"),
        "attention_bias": False,
    }
    norms = layout.norms(size.head_dim, _HEAD_NORMS) + layout.norms(size.width, llama.NORMS)
    parts = [*layout.attention(size), *norms, *layout.gated_mlp(size)]
    return ConversionPlan(config, layout.whole(size, parts))
