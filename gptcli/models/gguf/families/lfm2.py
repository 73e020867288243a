"""LFM2: short convolutions in most layers, attention in those that have heads of keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gptcli.models.gguf import rope, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.sizes import Sizes
from gptcli.models.gguf.takes import Take, Woven
from gptcli.models.gguf.tensors import BLOCK, LAYER

TAPS, HEADS = "shortconv.l_cache", "attention.head_count_kv"
KEYS = sizes.KEYS | rope.KEYS | {"attention.layer_norm_rms_epsilon", TAPS}
NORMS = {"operator_norm": "attn_norm", "ffn_norm": "ffn_norm"}


def plan(fields: Fields) -> ConversionPlan:
    """The plan of an `lfm2` file. Raises ModelError for what is not supported, by name."""
    fields.only(KEYS)
    size, kinds = read(fields)
    config = {
        **sizes.config(size, "lfm2", "Lfm2ForCausalLM", "silu"),
        **common(fields, size, kinds),
        "block_auto_adjust_ff_dim": False,
    }

    def takes(layer: int) -> list[Take]:
        return [*mixing(size, kinds[layer], config["conv_L_cache"]), *mlp(size)]

    return ConversionPlan(config, whole(size, takes))


def whole(size: Sizes, takes: Callable[[int], list[Take]]) -> tuple[Take | Woven, ...]:
    """All tensors; what other models norm the embedding with is the norm behind the last layer."""
    norm, source = "model.embedding_norm", "token_embd_norm"
    return layout.whole(size, takes, final_norm=norm, norm_source=source)


def read(fields: Fields) -> tuple[Sizes, list[str]]:
    """The sizes, and what mixes in each layer."""
    heads = fields.counts(HEADS, least=0)
    having = set(heads) - {0}
    if len(having) != 1:
        raise fields.error(f"{fields.arch}.{HEADS} is not a number of heads for its layers")
    (kv_heads,) = having
    size = sizes.read(fields, kv_heads=kv_heads)
    return size, ["full_attention" if each else "conv" for each in heads]


def common(fields: Fields, size: Sizes, kinds: list[str]) -> dict[str, Any]:
    """What the sizes with experts have too."""
    fields.fixed("rope.dimension_count", size.head_dim)
    return {
        "conv_L_cache": fields.count(TAPS),
        "conv_bias": False,
        "layer_types": kinds,
        "norm_eps": fields.real("attention.layer_norm_rms_epsilon"),
        **rope.fields_of(fields, size.head_dim, 1e6),
    }


def mixing(size: Sizes, kind: str, taps: int) -> list[Take]:
    """The norms of a layer, and its attention or convolution."""
    found = layout.norms(size.width, NORMS)
    if kind == "full_attention":
        pairs = {"self_attn.q_layernorm": "attn_q_norm", "self_attn.k_layernorm": "attn_k_norm"}
        found += layout.norms(size.head_dim, pairs)
        return [*found, *layout.attention(size, out="out_proj")]
    theirs, width = f"{LAYER}.conv", size.width
    stored = (width, 1, taps)
    return [
        *found,
        *layout.linear(f"{theirs}.in_proj", f"{BLOCK}.shortconv.in_proj", 3 * width, width),
        Take(
            f"{theirs}.conv.weight", f"{BLOCK}.shortconv.conv.weight", (width, taps), stored=stored
        ),
        *layout.linear(f"{theirs}.out_proj", f"{BLOCK}.shortconv.out_proj", width, width),
    ]


def mlp(size: Sizes) -> list[Take]:
    """The MLP under names of its own."""
    theirs, width, hidden = f"{LAYER}.feed_forward", size.width, size.hidden
    return [
        *layout.linear(f"{theirs}.w1", f"{BLOCK}.ffn_gate", hidden, width),
        *layout.linear(f"{theirs}.w3", f"{BLOCK}.ffn_up", hidden, width),
        *layout.linear(f"{theirs}.w2", f"{BLOCK}.ffn_down", width, hidden),
    ]
