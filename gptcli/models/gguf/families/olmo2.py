"""OLMo 2: norms after the blocks, and of all queries and keys together."""

from __future__ import annotations

from gptcli.models.gguf import sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import llama, qwen2
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.tensors import BLOCK, LAYER

_NORMS = {
    "post_attention_layernorm": "post_attention_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}


def plan(fields: Fields) -> ConversionPlan:
    """The plan of an `olmo2` file; with windows it is OLMo 3, which is refused by name."""
    fields.only(qwen2.KEYS)
    size = sizes.read(fields)
    if size.head_dim != size.width // size.heads:
        raise fields.error("olmo2.attention.key_length is not supported")
    config = {
        **llama.common(fields, size, "olmo2", "Olmo2ForCausalLM"),
        "attention_bias": False,
    }
    theirs = f"{LAYER}.self_attn"
    parts = [
        *layout.attention(size),
        *layout.norm(f"{theirs}.q_norm", f"{BLOCK}.attn_q_norm", size.queries),
        *layout.norm(f"{theirs}.k_norm", f"{BLOCK}.attn_k_norm", size.keys),
        *layout.norms(size.width, _NORMS),
        *layout.gated_mlp(size),
    ]
    return ConversionPlan(config, layout.whole(size, parts))
