"""EXAONE 4: norms after the blocks and of each head, a window in most layers of the large one."""

from __future__ import annotations

from gptcli.models.gguf import rope, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import llama, qwen3
from gptcli.models.gguf.fields import PATTERN, Fields
from gptcli.models.gguf.plan import ConversionPlan

_WINDOW = "attention.sliding_window"
_KEYS = sizes.KEYS | rope.KEYS | {"attention.layer_norm_rms_epsilon", _WINDOW, PATTERN}
_PERIOD = 4
_NORMS = {
    "post_attention_layernorm": "post_attention_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}


def plan(fields: Fields) -> ConversionPlan:
    """The plan of an `exaone4` file. Raises ModelError for what is not supported, by name."""
    fields.only(_KEYS)
    size = sizes.read(fields)
    window = fields.count(_WINDOW) if fields.get(_WINDOW) else None
    near = fields.windowed(size.layers, _PERIOD) if window else [False] * size.layers
    kinds = ("full_attention", "sliding_attention")
    config = {
        **llama.common(fields, size, "exaone4", "Exaone4ForCausalLM"),
        "layer_types": [kinds[each] for each in near],
        "sliding_window": window,
        "sliding_window_pattern": _PERIOD if window else None,
    }
    norms = [*qwen3.head_norms(size), *layout.norms(size.width, _NORMS)]
    takes = layout.whole(size, [*layout.attention(size), *norms, *layout.gated_mlp(size)])
    return ConversionPlan(config, takes, frozenset({rope.FREQUENCIES}))
