"""Seed-OSS: Qwen2 with another name for the norm before the MLP."""

from __future__ import annotations

from gptcli.models.gguf import sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import llama, qwen2
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan

_NORMS = {"input_layernorm": "attn_norm", "post_attention_layernorm": "post_attention_norm"}


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `seed_oss` file. Raises ModelError for what is not supported, by name."""
    fields.only(qwen2.KEYS)
    size = sizes.read(fields)
    bias, out_bias = fields.has("blk.0.attn_q.bias"), fields.has("blk.0.attn_output.bias")
    config = {
        **llama.common(fields, size, "seed_oss", "SeedOssForCausalLM"),
        "attention_bias": bias,
        "attention_out_bias": out_bias,
        "mlp_bias": False,
        "residual_dropout": 0.0,
    }
    attention = layout.attention(size, qkv_bias=bias, out_bias=out_bias)
    parts = [*attention, *layout.norms(size.width, _NORMS), *layout.gated_mlp(size)]
    return ConversionPlan(config, layout.whole(size, parts))
