"""ERNIE 4.5, dense: its rotary positions turn neighbours in both, so rows keep their order."""

from __future__ import annotations

from gptcli.models.gguf import rope, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import llama
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan

_KEYS = sizes.KEYS | rope.KEYS | {"attention.layer_norm_rms_epsilon"}


def plan(fields: Fields) -> ConversionPlan:
    """The plan of an `ernie4_5` file. Raises ModelError for what is not supported, by name."""
    fields.only(_KEYS)
    size = sizes.read(fields)
    config = {
        **llama.common(fields, size, "ernie4_5", "Ernie4_5ForCausalLM"),
        "use_bias": False,
    }
    norms = layout.norms(size.width, llama.NORMS)
    parts = [*layout.attention(size), *norms, *layout.gated_mlp(size)]
    return ConversionPlan(config, layout.whole(size, parts))
