"""Nemotron and Minitron: LayerNorm that scales by one more than is stored, half of each head
turned, an MLP without a gate.
"""

from __future__ import annotations

from gptcli.models.gguf import rope, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import gemma, llama
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.sizes import Sizes
from gptcli.models.gguf.tensors import LAYER

_KEYS = sizes.KEYS | rope.KEYS | {"attention.layer_norm_epsilon"}


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `nemotron` file. Raises ModelError for what is not supported, by name."""
    fields.only(_KEYS)
    size = sizes.read(fields)
    bias, mlp_bias = fields.has("blk.0.attn_q.bias"), fields.has("blk.0.ffn_up.bias")
    config = {
        **sizes.config(size, "nemotron", "NemotronForCausalLM", "relu2"),
        "attention_bias": bias,
        "head_dim": size.head_dim,
        "mlp_bias": mlp_bias,
        "norm_eps": fields.real("attention.layer_norm_epsilon"),
        "partial_rotary_factor": _share(fields, size),
        **rope.fields_of(fields, size.head_dim),
    }
    theirs = f"{LAYER}.mlp"
    parts = [
        *layout.attention(size, qkv_bias=bias, out_bias=bias),
        *layout.norms(size.width, llama.NORMS, bias=True, shift=gemma.SHIFT),
        *layout.plain_mlp(size, f"{theirs}.up_proj", f"{theirs}.down_proj", bias=mlp_bias),
    ]
    takes = layout.whole(size, parts, final_bias=True, final_shift=gemma.SHIFT)
    return ConversionPlan(config, takes)


def _share(fields: Fields, size: Sizes) -> float:
    """The converter takes half of the width by heads, also where heads are not its share."""
    if fields.get("rope.dimension_count") == size.width // 2 // size.heads:
        return 0.5
    return rope.share(fields, size.head_dim)
