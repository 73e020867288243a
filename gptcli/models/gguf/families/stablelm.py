"""StableLM: LayerNorm, rotary positions of a part of each head, a norm for each head."""

from __future__ import annotations

from gptcli.models.gguf import rope, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import llama
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.sizes import Sizes
from gptcli.models.gguf.takes import Take
from gptcli.models.gguf.tensors import BLOCK, LAYER

_KEYS = sizes.KEYS | rope.KEYS | {"attention.layer_norm_epsilon", "use_parallel_residual"}


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `stablelm` file. Raises ModelError for what is not supported, by name.

    The field for a parallel residual is wrong in files of StableLM 2, whose converter took yes for
    the default; whether there is a norm before the MLP tells.
    """
    fields.only(_KEYS)
    size = sizes.read(fields)
    normed = fields.has("blk.0.attn_q_norm.weight")
    serial, bias = fields.has("blk.0.ffn_norm.weight"), fields.has("blk.0.attn_q.bias")
    config = {
        **sizes.config(size, "stablelm", "StableLmForCausalLM", "silu"),
        "layer_norm_eps": fields.real("attention.layer_norm_epsilon"),
        "partial_rotary_factor": rope.share(fields, size.head_dim),
        "qk_layernorm": normed,
        "use_parallel_residual": not serial,
        "use_qkv_bias": bias,
        **rope.fields_of(fields, size.head_dim),
    }
    norms = llama.NORMS if serial else {"input_layernorm": "attn_norm"}
    parts = [
        *layout.attention(size, qkv_bias=bias),
        *(_head_norms(fields, size) if normed else []),
        *layout.norms(size.width, norms, bias=True),
        *layout.gated_mlp(size),
    ]
    return ConversionPlan(config, layout.whole(size, parts, final_bias=True))


def _head_norms(fields: Fields, size: Sizes) -> list[Take]:
    """Each head's norm is stored by itself; the file has them as one tensor."""
    # Before there is a take for each head that the header claims.
    shape = fields.header.tensors["blk.0.attn_q_norm.weight"].shape
    if shape != (size.heads, size.head_dim):
        raise fields.error(f"norms of {list(shape)} do not fit {size.heads} heads")
    return [
        Take(
            f"{LAYER}.self_attn.{part}_layernorm.norms.{head}.weight",
            f"{BLOCK}.attn_{part}_norm.weight",
            (heads, size.head_dim),
            part=(head, head + 1),
            stored=(size.head_dim,),
        )
        for part, heads in (("q", size.heads), ("k", size.kv_heads))
        for head in range(heads)
    ]
