"""Qwen3 with a mixture of experts in every layer."""

from __future__ import annotations

from gptcli.models.gguf import sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import llama, qwen2, qwen3
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan

_KEYS = qwen2.KEYS | {"expert_count", "expert_used_count", "expert_feed_forward_length"}


def plan(fields: Fields, more: frozenset[str] = frozenset()) -> ConversionPlan:
    """The plan of a `qwen3moe` file. Raises ModelError for what is not supported, by name.

    more: keys that change nothing in a text.
    """
    fields.only(_KEYS | more)
    size = sizes.read(fields)
    experts, used = sizes.experts(fields)
    hidden = fields.count("expert_feed_forward_length")
    config = {
        **llama.common(fields, size, "qwen3_moe", "Qwen3MoeForCausalLM"),
        "attention_bias": False,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
        "moe_intermediate_size": hidden,
        # llama.cpp knows no other kind of this architecture.
        "norm_topk_prob": True,
        "num_experts": experts,
        "num_experts_per_tok": used,
        "use_sliding_window": False,
    }
    names = ("gate_proj", "up_proj", "down_proj")
    mixture = layout.mixture(size, experts, hidden, "mlp", names)
    return ConversionPlan(config, layout.whole(size, [*qwen3.attention(size), *mixture]))
