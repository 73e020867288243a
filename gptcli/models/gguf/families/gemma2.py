"""Gemma 2: norms before and after each block, soft-caps, every other layer with a window."""

from __future__ import annotations

from gptcli.models.gguf import sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import gemma
from gptcli.models.gguf.fields import PATTERN, Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.sizes import Sizes

NORMS = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}
_CAPS = ("attn_logit_softcapping", "final_logit_softcapping")
#: The 27B models divide their scores otherwise; llama.cpp knows them by their layers too.
_LARGE = 46


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `gemma2` file. Raises ModelError for what is not supported, by name."""
    fields.only(gemma.KEYS | {*_CAPS, "attention.sliding_window", PATTERN})
    fields.period(2)
    size = sizes.read(fields)
    kinds = ("sliding_attention", "full_attention")
    config = {
        **gemma.config(fields, size, "gemma2", "Gemma2ForCausalLM"),
        **{name: fields.real(name) for name in _CAPS},
        "layer_types": [kinds[layer % 2] for layer in range(size.layers)],
        "query_pre_attn_scalar": scalar(size, _LARGE),
        "sliding_window": fields.count("attention.sliding_window", 4096),
    }
    norms = layout.norms(size.width, NORMS, shift=gemma.SHIFT)
    parts = [*layout.attention(size), *norms, *layout.gated_mlp(size)]
    return ConversionPlan(config, gemma.whole(size, parts))


def scalar(size: Sizes, large: int) -> int:
    """What scores are divided by the root of: a head's features, or its share of the width."""
    return size.width // size.heads if size.layers == large else size.head_dim
