"""GLM-4 of 2025: norms before and after each block, gate and up as one matrix.

Its rotary positions turn neighbours in both, so rows keep their order.
"""

from __future__ import annotations

from gptcli.models.gguf import rope, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.tensors import BLOCK, LAYER

_KEYS = sizes.KEYS | rope.KEYS | rope.YARN_KEYS | {"attention.layer_norm_rms_epsilon"}
_NORMS = {
    "input_layernorm": "attn_norm",
    "post_self_attn_layernorm": "post_attention_norm",
    "post_attention_layernorm": "ffn_norm",
    "post_mlp_layernorm": "post_ffw_norm",
}


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `glm4` file. Raises ModelError for what is not supported, by name.

    So it does for GLM-4.1V, whose rows are in another order.
    """
    fields.only(_KEYS)
    size = sizes.read(fields)
    bias = fields.has("blk.0.attn_q.bias")
    config = {
        **sizes.config(size, "glm4", "Glm4ForCausalLM", "silu"),
        "attention_bias": bias,
        "head_dim": size.head_dim,
        "partial_rotary_factor": rope.share(fields, size.head_dim),
        "rms_norm_eps": fields.real("attention.layer_norm_rms_epsilon"),
        **rope.fields_of(fields, size.head_dim),
    }
    width, hidden, theirs = size.width, size.hidden, f"{LAYER}.mlp"
    parts = [
        *layout.attention(size, qkv_bias=bias),
        *layout.norms(width, _NORMS),
        *layout.linear(f"{theirs}.gate_up_proj", f"{BLOCK}.ffn_up", 2 * hidden, width),
        *layout.linear(f"{theirs}.down_proj", f"{BLOCK}.ffn_down", width, hidden),
    ]
    return ConversionPlan(config, layout.whole(size, parts))
