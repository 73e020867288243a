"""Qwen1.5, Qwen2 and Qwen2.5: Llama with biases of queries, keys and values."""

from __future__ import annotations

from gptcli.models.gguf import rope, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import llama
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan

#: Of how a head's features turn with time, height and width, which are one in a text.
SECTIONS = "rope.dimension_sections"
KEYS = sizes.KEYS | rope.KEYS | rope.YARN_KEYS | {"attention.layer_norm_rms_epsilon"}


def plan(fields: Fields, more: frozenset[str] = frozenset()) -> ConversionPlan:
    """The plan of a `qwen2` file. Raises ModelError for what is not supported, by name.

    more: keys that change nothing in a text.
    """
    fields.only(KEYS | more)
    size = sizes.read(fields)
    config = llama.common(fields, size, "qwen2", "Qwen2ForCausalLM")
    config["use_sliding_window"] = False
    norms = layout.norms(size.width, llama.NORMS)
    attention = layout.attention(size, qkv_bias=True)
    return ConversionPlan(config, layout.whole(size, [*attention, *norms, *layout.gated_mlp(size)]))
