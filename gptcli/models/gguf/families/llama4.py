"""Llama 4's text: chunks of attention, and sharper queries in every fourth layer."""

from __future__ import annotations

from gptcli.models.gguf import experts, rope, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import llama
from gptcli.models.gguf.fields import PATTERN, Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.sizes import Sizes
from gptcli.models.gguf.takes import Take, Woven
from gptcli.models.gguf.tensors import BLOCK, LAYER

_STEP, _WINDOW, _NEAR = (
    "interleave_moe_layer_step",
    "attention.sliding_window",
    "rope.freq_base_swa",
)
_KEYS = sizes.KEYS | rope.KEYS | experts.KEYS
_KEYS |= {"attention.layer_norm_rms_epsilon", _STEP, _WINDOW, PATTERN, _NEAR}
#: What no file says, and llama.cpp takes of all of them.
_FIXED = {
    "attention_bias": False,
    "attention_chunk_size": 8192,
    "attn_scale": 0.1,
    "attn_temperature_tuning": True,
    "floor_scale": 8192,
    "no_rope_layer_interval": 4,
}
#: Models of so many have no norms of queries and keys.
_UNNORMED = 128


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `llama4` file. Raises ModelError for what is not supported, by name."""
    fields.only(_KEYS)
    fields.fixed(_WINDOW, _FIXED["attention_chunk_size"])
    fields.fixed(_NEAR, fields.get("rope.freq_base"))
    every = int(_FIXED["no_rope_layer_interval"])
    fields.period(every)
    size = sizes.read(fields)
    count, used = sizes.experts(fields)
    hidden, step = fields.count("expert_feed_forward_length"), fields.count(_STEP)
    turned = [int((layer + 1) % every != 0) for layer in range(size.layers)]
    mixed = [layer for layer in range(size.layers) if (layer + 1) % step == 0]
    config = {
        **llama.common(fields, size, "llama4_text", "Llama4ForCausalLM"),
        **_FIXED,
        "interleave_moe_layer_step": step,
        "intermediate_size": hidden,
        "intermediate_size_mlp": size.hidden,
        "layer_types": ["chunked_attention" if each else "full_attention" for each in turned],
        "moe_layers": mixed,
        "no_rope_layers": turned,
        "num_experts_per_tok": used,
        "num_local_experts": count,
        "use_qk_norm": count != _UNNORMED,
    }
    every_layer = [*layout.attention(size), *layout.norms(size.width, llama.NORMS)]
    dense = layout.gated_mlp(size, block="feed_forward")
    mixture = _mixture(size, count, hidden)

    def parts(layer: int) -> list[Take | Woven]:
        return [*every_layer, *(mixture if layer in mixed else dense)]

    return ConversionPlan(config, layout.whole(size, parts), frozenset({rope.FREQUENCIES}))


def _mixture(size: Sizes, count: int, hidden: int) -> list[Take | Woven]:
    """A router, a stack of experts, each stored as (in, out), and the expert beside them."""
    theirs, width = f"{LAYER}.feed_forward", size.width
    pair = tuple(f"{BLOCK}.ffn_{part}_exps.weight" for part in ("gate", "up"))
    down, out = (f"{BLOCK}.ffn_down_exps.weight",), (count, width, hidden)
    into = (count, hidden, width)
    return [
        *layout.linear(f"{theirs}.router", f"{BLOCK}.ffn_gate_inp", count, width),
        Woven(f"{theirs}.experts.gate_up_proj", pair, into, transpose=True, above=True),
        Woven(f"{theirs}.experts.down_proj", down, out, transpose=True),
        *experts.shared(size, hidden, "feed_forward.shared_expert"),
    ]
