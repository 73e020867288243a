"""BLOOM: positions by ALiBi, a norm after the embedding, queries, keys and values as one."""

from __future__ import annotations

from gptcli.formats.gguf.taken import GroupOrder
from gptcli.models.gguf import sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.tensors import BLOCK

_KEYS = sizes.KEYS | {"attention.layer_norm_epsilon"}


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `bloom` file. Raises ModelError for what is not supported, by name."""
    fields.only(_KEYS)
    size = sizes.read(fields)
    width = size.width
    fields.fixed("attention.head_count_kv", size.heads)
    fields.fixed("feed_forward_length", 4 * width)
    config = {
        "architectures": ["BloomForCausalLM"],
        "model_type": "bloom",
        "apply_residual_connection_post_layernorm": False,
        "attention_dropout": 0.0,
        "hidden_dropout": 0.0,
        "hidden_size": width,
        "initializer_range": 0.02,
        "layer_norm_epsilon": fields.real("attention.layer_norm_epsilon"),
        "n_head": size.heads,
        "n_layer": size.layers,
        "seq_length": size.context,
        "tie_word_embeddings": size.tied,
        "vocab_size": size.vocab,
    }
    theirs, order = "transformer.h.{i}", GroupOrder(size.heads, 1)
    attention = f"{theirs}.self_attention"
    fused, source = f"{attention}.query_key_value", f"{BLOCK}.attn_qkv"
    parts = [
        *layout.linear(fused, source, 3 * width, width, bias=True, order=order),
        *layout.linear(f"{attention}.dense", f"{BLOCK}.attn_output", width, width, bias=True),
        *layout.norm(f"{theirs}.input_layernorm", f"{BLOCK}.attn_norm", width, bias=True),
        *layout.norm(f"{theirs}.post_attention_layernorm", f"{BLOCK}.ffn_norm", width, bias=True),
        *layout.plain_mlp(size, f"{theirs}.mlp.dense_h_to_4h", f"{theirs}.mlp.dense_4h_to_h"),
    ]
    takes = layout.whole(
        size,
        parts,
        embedding="transformer.word_embeddings",
        final_norm="transformer.ln_f",
        final_bias=True,
    )
    first = "transformer.word_embeddings_layernorm"
    return ConversionPlan(
        config, (*takes, *layout.norm(first, "token_embd_norm", width, bias=True))
    )
