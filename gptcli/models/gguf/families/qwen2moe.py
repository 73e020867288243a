"""Qwen1.5 MoE and Qwen2 MoE: a mixture and a shared expert in every layer."""

from __future__ import annotations

from gptcli.models.gguf import experts, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import llama, qwen2
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.sizes import Sizes
from gptcli.models.gguf.takes import Take
from gptcli.models.gguf.tensors import BLOCK, LAYER

_KEYS = qwen2.KEYS | experts.KEYS | {"expert_shared_feed_forward_length"}
NAMES = ("gate_proj", "up_proj", "down_proj")


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `qwen2moe` file. Raises ModelError for what is not supported, by name."""
    fields.only(_KEYS)
    size = sizes.read(fields)
    count, used = sizes.experts(fields)
    hidden = fields.count("expert_feed_forward_length", max(1, size.hidden // used))
    beside = fields.count("expert_shared_feed_forward_length", size.hidden)
    config = {
        **llama.common(fields, size, "qwen2_moe", "Qwen2MoeForCausalLM"),
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
        "moe_intermediate_size": hidden,
        # llama.cpp knows no other kind of this architecture.
        "norm_topk_prob": False,
        "num_experts": count,
        "num_experts_per_tok": used,
        "shared_expert_intermediate_size": beside,
        "use_sliding_window": False,
    }
    parts = [
        *layout.attention(size, qkv_bias=True),
        *layout.norms(size.width, llama.NORMS),
        *layout.mixture(size, count, hidden, "mlp", NAMES),
        *gated(size, beside),
    ]
    return ConversionPlan(config, layout.whole(size, parts))


def gated(size: Sizes, hidden: int) -> list[Take]:
    """An expert beside the others, with a gate."""
    gate, width = f"{BLOCK}.ffn_gate_inp_shexp.weight", size.width
    return [
        *experts.shared(size, hidden, "mlp.shared_expert"),
        # The file has a vector.
        Take(f"{LAYER}.mlp.shared_expert_gate.weight", gate, (width,), stored=(1, width)),
    ]
