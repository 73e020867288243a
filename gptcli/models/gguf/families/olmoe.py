"""OLMoE: norms of all queries and keys together, a mixture of experts in every layer."""

from __future__ import annotations

from gptcli.models.gguf import rope, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import llama, olmo2
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan

_KEYS = sizes.KEYS | rope.KEYS | {"attention.layer_norm_rms_epsilon", "expert_count"}
_KEYS |= {"expert_used_count", "expert_feed_forward_length"}


def plan(fields: Fields) -> ConversionPlan:
    """The plan of an `olmoe` file. Raises ModelError for what is not supported, by name."""
    fields.only(_KEYS)
    size = sizes.read(fields)
    olmo2.whole_heads(fields, size)
    experts, used = sizes.experts(fields)
    fields.fixed("expert_feed_forward_length", size.hidden)
    config = {
        **llama.common(fields, size, "olmoe", "OlmoeForCausalLM"),
        "attention_bias": False,
        "clip_qkv": None,
        # llama.cpp knows no other kind of this architecture.
        "norm_topk_prob": False,
        "num_experts": experts,
        "num_experts_per_tok": used,
    }
    names = ("gate_proj", "up_proj", "down_proj")
    parts = [
        *layout.attention(size),
        *olmo2.head_norms(size),
        *layout.norms(size.width, llama.NORMS),
        *layout.mixture(size, experts, size.hidden, "mlp", names),
    ]
    return ConversionPlan(config, layout.whole(size, parts))
