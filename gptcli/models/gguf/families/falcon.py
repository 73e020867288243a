"""Falcon: attention and MLP side by side; keys and values shared by all heads, or by groups."""

from __future__ import annotations

from gptcli.formats.gguf.taken import GroupOrder
from gptcli.models.gguf import rope, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.tensors import BLOCK

_KEYS = sizes.KEYS | rope.KEYS | {"attention.layer_norm_epsilon", "tensor_data_layout"}


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `falcon` file. Raises ModelError for what is not supported, by name.

    Falcon RW, with ALiBi and biases, is not: llama.cpp knows it no more than this does.
    """
    fields.only(_KEYS)
    fields.fixed("tensor_data_layout", "jploski")
    size = sizes.read(fields)
    width = size.width
    fields.fixed("rope.dimension_count", size.head_dim)
    fields.fixed("feed_forward_length", 4 * width)
    # One head of keys and values is the first Falcon's; the later ones have groups, and a norm
    # for each of the two blocks or one for both.
    grouped, two = size.kv_heads > 1, fields.has("blk.0.attn_norm_2.weight")
    config = {
        "architectures": ["FalconForCausalLM"],
        "model_type": "falcon",
        "activation": "gelu",
        "alibi": False,
        "attention_dropout": 0.0,
        "bias": False,
        "ffn_hidden_size": size.hidden,
        "hidden_dropout": 0.0,
        "hidden_size": width,
        "initializer_range": 0.02,
        "layer_norm_epsilon": fields.real("attention.layer_norm_epsilon"),
        "max_position_embeddings": size.context,
        "multi_query": not grouped,
        "new_decoder_architecture": grouped,
        "num_attention_heads": size.heads,
        "num_hidden_layers": size.layers,
        "num_kv_heads": size.kv_heads,
        "num_ln_in_parallel_attn": (2 if two else 1) if grouped else None,
        "parallel_attn": True,
        "tie_word_embeddings": size.tied,
        "vocab_size": size.vocab,
        **rope.fields_of(fields, size.head_dim),
    }
    theirs, order = "transformer.h.{i}", GroupOrder(size.kv_heads, size.heads // size.kv_heads)
    # The file's first norm is the MLP's where there are two.
    norms = {"ln_mlp": "attn_norm", "ln_attn": "attn_norm_2"}
    attention = f"{theirs}.self_attention"
    fused, rows = f"{attention}.query_key_value", size.queries + 2 * size.keys
    parts = [
        *layout.linear(fused, f"{BLOCK}.attn_qkv", rows, width, order=order),
        *layout.linear(f"{attention}.dense", f"{BLOCK}.attn_output", width, width),
    ]
    for name, source in (norms if two else {"input_layernorm": "attn_norm"}).items():
        parts += layout.norm(f"{theirs}.{name}", f"{BLOCK}.{source}", width, bias=True)
    up, down = f"{theirs}.mlp.dense_h_to_4h", f"{theirs}.mlp.dense_4h_to_h"
    parts += layout.plain_mlp(size, up, down, bias=False)
    takes = layout.whole(
        size,
        parts,
        embedding="transformer.word_embeddings",
        final_norm="transformer.ln_f",
        final_bias=True,
    )
    return ConversionPlan(config, takes)
