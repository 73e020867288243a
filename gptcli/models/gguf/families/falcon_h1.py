"""Falcon-H1: attention and Mamba-2 beside each other; its factors are in the weights already."""

from __future__ import annotations

from gptcli.models.gguf import mamba, rope, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.takes import Take
from gptcli.models.gguf.tensors import BLOCK, LAYER

_KEYS = sizes.KEYS | rope.KEYS | mamba.KEYS | {"attention.layer_norm_rms_epsilon"}
#: Of what the converter multiplied weights by.
_ONES = ("attention_in", "attention_out", "embedding", "key", "lm_head", "ssm_in", "ssm_out")


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `falcon-h1` file. Raises ModelError for what is not supported, by name."""
    fields.only(_KEYS)
    fields.fixed("rope.dimension_count", fields.get("attention.key_length"))
    size, memories = sizes.read(fields), mamba.read(fields, 0)
    if size.tied:
        # Embedding and head were multiplied by different numbers.
        raise fields.error("has no head of its own, which is not supported")
    config = {
        **sizes.config(size, "falcon_h1", "FalconH1ForCausalLM", "silu"),
        "attention_bias": False,
        "head_dim": size.head_dim,
        "mamba_conv_bias": memories.filter_bias,
        "mamba_d_conv": memories.taps,
        "mamba_d_head": memories.size,
        "mamba_d_ssm": memories.inner,
        "mamba_d_state": memories.state,
        "mamba_n_groups": memories.groups,
        "mamba_n_heads": memories.heads,
        "mamba_norm_before_gate": False,
        "mamba_proj_bias": False,
        "mamba_rms_norm": memories.normed,
        "mlp_bias": False,
        "mlp_multipliers": [1.0, 1.0],
        "projectors_bias": False,
        "rms_norm_eps": fields.real("attention.layer_norm_rms_epsilon"),
        "ssm_multipliers": [1.0] * 5,
        **{f"{name}_multiplier": 1.0 for name in _ONES},
        **rope.fields_of(fields, size.head_dim),
    }
    width = size.width
    # llama.cpp looks for a name without an end.
    before = "ffn_norm" if fields.has("blk.0.ffn_norm") else "ffn_norm.weight"
    parts = [
        *layout.attention(size),
        *mamba.takes(memories, width, f"{LAYER}.mamba"),
        *layout.norm(f"{LAYER}.input_layernorm", f"{BLOCK}.attn_norm", width),
        Take(f"{LAYER}.pre_ff_layernorm.weight", f"{BLOCK}.{before}", (width,)),
        *layout.gated_mlp(size, block="feed_forward"),
    ]
    return ConversionPlan(config, layout.whole(size, parts, final_norm="model.final_layernorm"))
