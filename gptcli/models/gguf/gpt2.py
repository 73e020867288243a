"""GGUF's `gpt2` architecture as a Hugging Face `gpt2` configuration and tensor plan.

GPT-2's own checkpoints keep linear layers as [in, out] (`Conv1D`); GGUF turns them to [out, in],
and they are turned back here.
"""

from __future__ import annotations

from typing import Any

from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import Plan, Take

_KNOWN = frozenset(
    {
        "attention.head_count",
        "attention.head_count_kv",
        "attention.layer_norm_epsilon",
        "block_count",
        "context_length",
        "embedding_length",
        "feed_forward_length",
        "vocab_size",
    }
)


def plan(fields: Fields) -> Plan:
    """The plan of a `gpt2` file. Raises ModelError for what is not supported, by name."""
    fields.only(_KNOWN)
    tensors = fields.header.tensors
    if "token_embd.weight" not in tensors:
        raise fields.error("lacks the tensor token_embd.weight")
    width = fields.count("embedding_length")
    heads = fields.count("attention.head_count")
    fields.fixed("attention.head_count_kv", heads)
    context = fields.count("context_length")
    config: dict[str, Any] = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        "attn_pdrop": 0.1,
        "embd_pdrop": 0.1,
        "initializer_range": 0.02,
        "layer_norm_epsilon": fields.real("attention.layer_norm_epsilon"),
        "n_ctx": context,
        "n_embd": width,
        "n_head": heads,
        "n_inner": fields.count("feed_forward_length", 4 * width),
        "n_layer": fields.layers(),
        "n_positions": context,
        "resid_pdrop": 0.1,
        "scale_attn_weights": True,
        "tie_word_embeddings": "output.weight" not in tensors,
        "vocab_size": fields.count("vocab_size", tensors["token_embd.weight"].shape[0]),
    }
    return Plan(config, tuple(_takes(config)))


def _takes(config: dict[str, Any]) -> list[Take]:
    width, inner = config["n_embd"], config["n_inner"]
    vocabulary = (config["vocab_size"], width)
    linears = [
        ("attn.c_attn", "attn_qkv", 3 * width, width),
        ("attn.c_proj", "attn_output", width, width),
        ("mlp.c_fc", "ffn_up", inner, width),
        ("mlp.c_proj", "ffn_down", width, inner),
    ]
    norms = [("ln_1", "attn_norm"), ("ln_2", "ffn_norm")]
    takes = [
        Take("transformer.wte.weight", "token_embd.weight", vocabulary),
        Take("transformer.wpe.weight", "position_embd.weight", (config["n_positions"], width)),
    ]
    for layer in range(config["n_layer"]):
        ours, theirs = f"transformer.h.{layer}", f"blk.{layer}"
        for name, source in norms:
            takes += _norm(f"{ours}.{name}", f"{theirs}.{source}", width)
        for name, source, rows, columns in linears:
            weight = f"{theirs}.{source}.weight"
            takes.append(Take(f"{ours}.{name}.weight", weight, (rows, columns), transpose=True))
            takes.append(Take(f"{ours}.{name}.bias", f"{theirs}.{source}.bias", (rows,)))
    takes += _norm("transformer.ln_f", "output_norm", width)
    if not config["tie_word_embeddings"]:
        takes.append(Take("lm_head.weight", "output.weight", vocabulary))
    return takes


def _norm(name: str, source: str, width: int) -> list[Take]:
    kinds = ("weight", "bias")
    return [Take(f"{name}.{kind}", f"{source}.{kind}", (width,)) for kind in kinds]
