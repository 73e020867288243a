"""Cohere 2: Cohere with a window and rotary positions in three layers of four.

These turn neighbours in both, so rows keep their order.
"""

from __future__ import annotations

from gptcli.models.gguf import rope, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.fields import PATTERN, Fields
from gptcli.models.gguf.plan import ConversionPlan

_WINDOW = "attention.sliding_window"
_KEYS = sizes.KEYS | rope.KEYS | {"attention.layer_norm_epsilon", "logit_scale", _WINDOW, PATTERN}
#: As in llama.cpp, since most files do not say it.
_PERIOD = 4


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `cohere2` file. Raises ModelError for what is not supported, by name."""
    fields.only(_KEYS)
    fields.period(_PERIOD)
    size = sizes.read(fields)
    fields.fixed("rope.dimension_count", size.head_dim)
    kinds = ("full_attention", "sliding_attention")
    config = {
        **sizes.config(size, "cohere2", "Cohere2ForCausalLM", "silu"),
        "attention_bias": False,
        "head_dim": size.head_dim,
        "layer_norm_eps": fields.real("attention.layer_norm_epsilon"),
        "layer_types": [kinds[near] for near in fields.windowed(size.layers, _PERIOD)],
        "logit_scale": fields.real("logit_scale"),
        "sliding_window": fields.count(_WINDOW),
        **rope.fields_of(fields, size.head_dim),
    }
    parts = [
        *layout.attention(size),
        *layout.norms(size.width, {"input_layernorm": "attn_norm"}),
        *layout.gated_mlp(size),
    ]
    return ConversionPlan(config, layout.whole(size, parts))
