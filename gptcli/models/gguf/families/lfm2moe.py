"""LFM2 with experts, chosen by sigmoids and a correction, behind dense blocks."""

from __future__ import annotations

from gptcli.models.gguf import experts, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import lfm2
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.takes import Take

_DENSE = "leading_dense_block_count"
_KEYS = lfm2.KEYS | experts.KEYS | {"expert_gating_func", _DENSE}


def plan(fields: Fields) -> ConversionPlan:
    """The plan of an `lfm2moe` file. Raises ModelError for what is not supported, by name."""
    fields.only(_KEYS)
    fields.fixed("expert_gating_func", experts.SIGMOID)
    size, kinds = lfm2.read(fields)
    count, used = sizes.experts(fields)
    hidden, dense = fields.count("expert_feed_forward_length"), experts.none_or(fields, _DENSE)
    config = {
        **sizes.config(size, "lfm2_moe", "Lfm2MoeForCausalLM", "silu"),
        **lfm2.common(fields, size, kinds),
        "moe_intermediate_size": hidden,
        "norm_topk_prob": True,
        "num_dense_layers": dense,
        "num_experts": count,
        "num_experts_per_tok": used,
        "routed_scaling_factor": 1.0,
        "use_expert_bias": True,
    }
    mixture = [
        *layout.mixture(size, count, hidden, "feed_forward", ("w1", "w3", "w2")),
        experts.correction("feed_forward.expert_bias", count),
    ]

    def takes(layer: int) -> list[Take]:
        mixing = lfm2.mixing(size, kinds[layer], config["conv_L_cache"])
        return [*mixing, *(lfm2.mlp(size) if layer < dense else mixture)]

    return ConversionPlan(config, lfm2.whole(size, takes))
