"""Phi-1, Phi-1.5 and Phi-2: one norm for attention and MLP side by side, biases everywhere."""

from __future__ import annotations

from gptcli.models.gguf import rope, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.sizes import Sizes
from gptcli.models.gguf.takes import Take
from gptcli.models.gguf.tensors import BLOCK, LAYER

_KEYS = sizes.KEYS | rope.KEYS | {"attention.layer_norm_epsilon"}


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `phi2` file. Raises ModelError for what is not supported, by name."""
    fields.only(_KEYS)
    size = sizes.read(fields)
    config = {
        **sizes.config(size, "phi", "PhiForCausalLM", "gelu_new"),
        "layer_norm_eps": fields.real("attention.layer_norm_epsilon"),
        "partial_rotary_factor": rope.share(fields, size.head_dim),
        "qk_layernorm": False,
        **rope.fields_of(fields, size.head_dim),
    }
    fused = fields.has("blk.0.attn_qkv.weight")
    attention = (
        _fused(size) if fused else layout.attention(size, qkv_bias=True, out="dense", out_bias=True)
    )
    theirs = f"{LAYER}.mlp"
    parts = [
        *attention,
        *layout.norms(size.width, {"input_layernorm": "attn_norm"}, bias=True),
        *layout.plain_mlp(size, f"{theirs}.fc1", f"{theirs}.fc2"),
    ]
    takes = layout.whole(size, parts, final_norm="model.final_layernorm", final_bias=True)
    head = () if size.tied else (Take("lm_head.bias", "output.bias", (size.vocab,)),)
    return ConversionPlan(config, (*takes, *head))


def _fused(size: Sizes) -> list[Take]:
    """Files of the first converters have queries, keys and values as one."""
    theirs, source, total = f"{LAYER}.self_attn", f"{BLOCK}.attn_qkv", size.queries + 2 * size.keys
    found, at = [], 0
    for part, rows in (("q", size.queries), ("k", size.keys), ("v", size.keys)):
        name, rows_taken = f"{theirs}.{part}_proj", (at, at + rows)
        for kind, rest in (("weight", (size.width,)), ("bias", ())):
            found.append(
                Take(
                    f"{name}.{kind}",
                    f"{source}.{kind}",
                    (total, *rest),
                    part=rows_taken,
                    stored=(rows, *rest),
                )
            )
        at += rows
    return found + layout.linear(
        f"{theirs}.dense", f"{BLOCK}.attn_output", size.width, size.queries, bias=True
    )
