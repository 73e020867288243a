"""GPT-2, whose own checkpoints keep linear layers as [in, out]; GGUF turns them to [out, in]."""

from __future__ import annotations

from gptcli.models.gguf import sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.takes import Take
from gptcli.models.gguf.tensors import BLOCK

_KEYS = sizes.KEYS | {"attention.layer_norm_epsilon"}


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `gpt2` file. Raises ModelError for what is not supported, by name."""
    fields.only(_KEYS)
    size = sizes.read(fields)
    fields.fixed("attention.head_count_kv", size.heads)
    config = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        "attn_pdrop": 0.1,
        "embd_pdrop": 0.1,
        "initializer_range": 0.02,
        "layer_norm_epsilon": fields.real("attention.layer_norm_epsilon"),
        "n_ctx": size.context,
        "n_embd": size.width,
        "n_head": size.heads,
        "n_inner": size.hidden,
        "n_layer": size.layers,
        "n_positions": size.context,
        "resid_pdrop": 0.1,
        "scale_attn_weights": True,
        "tie_word_embeddings": size.tied,
        "vocab_size": size.vocab,
    }
    theirs, width, hidden = "transformer.h.{i}", size.width, size.hidden
    parts = []
    for name, source, rows, columns in (
        ("attn.c_attn", "attn_qkv", 3 * width, width),
        ("attn.c_proj", "attn_output", width, width),
        ("mlp.c_fc", "ffn_up", hidden, width),
        ("mlp.c_proj", "ffn_down", width, hidden),
    ):
        at = f"{BLOCK}.{source}"
        parts += layout.linear(f"{theirs}.{name}", at, rows, columns, bias=True, transpose=True)
    for name, source in (("ln_1", "attn_norm"), ("ln_2", "ffn_norm")):
        parts += layout.norm(f"{theirs}.{name}", f"{BLOCK}.{source}", width, bias=True)
    takes = layout.whole(
        size,
        parts,
        embedding="transformer.wte",
        final_norm="transformer.ln_f",
        final_bias=True,
    )
    positions = Take("transformer.wpe.weight", "position_embd.weight", (size.context, width))
    return ConversionPlan(config, (*takes, positions))
