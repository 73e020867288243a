"""GPT-NeoX and Pythia: queries, keys and values as one matrix, head by head."""

from __future__ import annotations

from gptcli.formats.gguf.taken import GroupOrder
from gptcli.models.gguf import rope, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.tensors import BLOCK

_KEYS = sizes.KEYS | rope.KEYS | {"attention.layer_norm_epsilon", "use_parallel_residual"}


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `gptneox` file. Raises ModelError for what is not supported, by name."""
    fields.only(_KEYS)
    size = sizes.read(fields)
    fields.fixed("attention.head_count_kv", size.heads)
    fields.fixed("use_parallel_residual", True, False)
    share = rope.share(fields, size.head_dim)
    positions = rope.fields_of(fields, size.head_dim)
    config = {
        **sizes.config(size, "gpt_neox", "GPTNeoXForCausalLM", "gelu"),
        "layer_norm_eps": fields.real("attention.layer_norm_epsilon"),
        "partial_rotary_factor": share,
        "rotary_emb_base": positions["rope_theta"],
        "rotary_pct": share,
        "use_parallel_residual": fields.get("use_parallel_residual") is not False,
        **positions,
    }
    theirs, width = "gpt_neox.layers.{i}", size.width
    order = GroupOrder(size.heads, 1)
    source = f"{BLOCK}.attn_qkv"
    fused = f"{theirs}.attention.query_key_value"
    dense = f"{theirs}.attention.dense"
    parts = [
        *layout.linear(fused, source, 3 * width, width, bias=True, order=order),
        *layout.linear(dense, f"{BLOCK}.attn_output", width, width, bias=True),
        *layout.norm(f"{theirs}.input_layernorm", f"{BLOCK}.attn_norm", width, bias=True),
        *layout.norm(f"{theirs}.post_attention_layernorm", f"{BLOCK}.ffn_norm", width, bias=True),
        *layout.plain_mlp(size, f"{theirs}.mlp.dense_h_to_4h", f"{theirs}.mlp.dense_4h_to_h"),
    ]
    takes = layout.whole(
        size,
        parts,
        embedding="gpt_neox.embed_in",
        final_norm="gpt_neox.final_layer_norm",
        final_bias=True,
        head="embed_out",
    )
    return ConversionPlan(config, takes)
