"""Arcee: Llama with an MLP without a gate."""

from __future__ import annotations

from gptcli.models.gguf import rope, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import llama
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.tensors import LAYER


def plan(fields: Fields) -> ConversionPlan:
    """The plan of an `arcee` file. Raises ModelError for what is not supported, by name."""
    fields.only(llama.KEYS - {"expert_count", "expert_used_count"})
    size = sizes.read(fields)
    bias, mlp_bias = fields.has("blk.0.attn_q.bias"), fields.has("blk.0.ffn_up.bias")
    config = {
        **llama.common(fields, size, "arcee", "ArceeForCausalLM"),
        "attention_bias": bias,
        "hidden_act": "relu2",
        "mlp_bias": mlp_bias,
    }
    theirs = f"{LAYER}.mlp"
    parts = [
        *layout.attention(size, turned=True, qkv_bias=bias, out_bias=bias),
        *layout.norms(size.width, llama.NORMS),
        *layout.plain_mlp(size, f"{theirs}.up_proj", f"{theirs}.down_proj", bias=mlp_bias),
    ]
    return ConversionPlan(config, layout.whole(size, parts), frozenset({rope.FREQUENCIES}))
