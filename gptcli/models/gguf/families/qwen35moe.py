"""Qwen3.5 with experts: Qwen3.5's layers, with a mixture and a gated expert beside it in each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gptcli.models.gguf import experts, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import qwen2, qwen2moe, qwen35
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.sizes import Sizes
from gptcli.models.gguf.takes import Take

KEYS = qwen35.KEYS | experts.KEYS | {"expert_shared_feed_forward_length"}
Mixing = Callable[[Sizes, dict[str, Any]], list[Take]]


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `qwen35moe` file. Raises ModelError for what is not supported, by name."""
    fields.only(KEYS | {qwen2.SECTIONS})
    return mixed(fields, qwen35.linear_config(fields), qwen35.recurrence)


def mixed(fields: Fields, linear: dict[str, Any], recurrence: Mixing) -> ConversionPlan:
    """The plan of a file; linear: what its config says of memories, recurrence: their tensors."""
    size, unused = qwen35.trunk(fields)
    count, used = sizes.experts(fields)
    hidden = fields.count("expert_feed_forward_length")
    beside = fields.count("expert_shared_feed_forward_length", hidden)
    kinds = qwen35.layer_kinds(fields, size.layers)
    config = {
        **qwen35.config_of(fields, size, kinds, "qwen3_5_moe_text", "Qwen3_5MoeForCausalLM"),
        **linear,
        "moe_intermediate_size": hidden,
        "num_experts": count,
        "num_experts_per_tok": used,
        "shared_expert_intermediate_size": beside,
    }
    del config["intermediate_size"]
    mixture = [
        *layout.mixture(size, count, hidden, "mlp", qwen2moe.NAMES),
        *qwen2moe.gated(size, beside),
    ]

    def takes(layer: int) -> list[Take]:
        attends = kinds[layer] == "full_attention"
        mixer = qwen35.attention(size) if attends else recurrence(size, config)
        return [*layout.norms(size.width, qwen35.NORMS, shift=-1), *mixer, *mixture]

    return ConversionPlan(config, layout.whole(size, takes, final_shift=-1), unused)
