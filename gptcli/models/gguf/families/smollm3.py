"""SmolLM3: Llama, with no rotary positions in every fourth layer."""

from __future__ import annotations

from gptcli.models.gguf import sizes
from gptcli.models.gguf.families import llama
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan

#: As in llama.cpp, since the files do not say it.
_INTERVAL = 4


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `smollm3` file. Raises ModelError for what is not supported, by name."""
    fields.only(llama.KEYS - {"expert_count", "expert_used_count"})
    size = sizes.read(fields)
    turned = [int((layer + 1) % _INTERVAL != 0) for layer in range(size.layers)]
    more = {
        "layer_types": ["full_attention"] * size.layers,
        "no_rope_layer_interval": _INTERVAL,
        "no_rope_layers": turned,
        "use_sliding_window": False,
    }
    return llama.dense(fields, size, "smollm3", "SmolLM3ForCausalLM", more)
