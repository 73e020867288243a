"""GLM-4.5 and later: dense blocks, then mixtures; the last block guesses further tokens."""

from __future__ import annotations

from collections.abc import Iterable

from gptcli.models.gguf import experts, rope, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import qwen2, qwen3
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.takes import Take, Woven

_KEYS = qwen2.KEYS | experts.ROUTING_KEYS | experts.SHARED_KEYS | experts.DENSE_KEYS
_NAMES = ("gate_proj", "up_proj", "down_proj")
_NORMS = {"input_layernorm": "attn_norm", "post_attention_layernorm": "post_attention_norm"}


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `glm4moe` file. Raises ModelError for what is not supported, by name."""
    fields.only(_KEYS)
    size, unused = experts.running(fields)
    count, used = sizes.experts(fields)
    hidden = fields.count("expert_feed_forward_length")
    beside = experts.none_or(fields, "expert_shared_count")
    dense = experts.none_or(fields, "leading_dense_block_count")
    bias, normed = fields.has("blk.0.attn_q.bias"), fields.has("blk.0.attn_q_norm.weight")
    config = {
        **sizes.config(size, "glm4_moe", "Glm4MoeForCausalLM", "silu"),
        "attention_bias": bias,
        "first_k_dense_replace": dense,
        "head_dim": size.head_dim,
        "moe_intermediate_size": hidden,
        "n_routed_experts": count,
        "n_shared_experts": beside,
        "num_experts_per_tok": used,
        "num_nextn_predict_layers": 0,
        "partial_rotary_factor": rope.share(fields, size.head_dim),
        "rms_norm_eps": fields.real("attention.layer_norm_rms_epsilon"),
        "use_qk_norm": normed,
        **experts.routing(fields),
        **rope.fields_of(fields, size.head_dim),
    }
    every: list[Take] = [
        *layout.attention(size, qkv_bias=bias),
        *layout.norms(size.width, _NORMS),
        *(qwen3.head_norms(size) if normed else []),
    ]
    first = [*every, *layout.gated_mlp(size)]
    mixed = [
        *every,
        *layout.mixture(size, count, hidden, "mlp", _NAMES, exact=True),
        experts.correction("mlp.gate.e_score_correction_bias", count),
        *(experts.shared(size, beside * hidden, "mlp.shared_experts") if beside else []),
    ]

    def parts(layer: int) -> Iterable[Take | Woven]:
        return first if layer < dense else mixed

    return ConversionPlan(config, layout.whole(size, parts), unused)
