"""StarCoder2: LayerNorm, an MLP without a gate, biases everywhere."""

from __future__ import annotations

from gptcli.models.gguf import rope, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import llama
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.tensors import LAYER

_KEYS = sizes.KEYS | rope.KEYS | {"attention.layer_norm_epsilon"}


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `starcoder2` file. Raises ModelError for what is not supported, by name."""
    fields.only(_KEYS)
    size = sizes.read(fields)
    fields.fixed("rope.dimension_count", size.head_dim)
    bias = fields.has("blk.0.attn_q.bias")
    config = {
        **sizes.config(size, "starcoder2", "Starcoder2ForCausalLM", "gelu_pytorch_tanh"),
        "norm_epsilon": fields.real("attention.layer_norm_epsilon"),
        # The files do not say it, and llama.cpp has none.
        "sliding_window": None,
        "use_bias": bias,
        **rope.fields_of(fields, size.head_dim),
    }
    theirs = f"{LAYER}.mlp"
    parts = [
        *layout.attention(size, qkv_bias=bias, out_bias=bias),
        *layout.norms(size.width, llama.NORMS, bias=True),
        *layout.plain_mlp(size, f"{theirs}.c_fc", f"{theirs}.c_proj", bias=bias),
    ]
    return ConversionPlan(config, layout.whole(size, parts, final_bias=True))
