"""MiniMax-M2: a mixture in every block, norms of all queries and of all keys."""

from __future__ import annotations

from gptcli.models.gguf import experts, rope, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import llama, qwen2
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.tensors import BLOCK, LAYER

_KEYS = qwen2.KEYS | experts.KEYS | {"expert_gating_func"}


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `minimax-m2` file. Raises ModelError for what is not supported, by name."""
    fields.only(_KEYS)
    fields.fixed("expert_gating_func", experts.SIGMOID)
    size = sizes.read(fields)
    count, used = sizes.experts(fields)
    hidden = fields.count("expert_feed_forward_length", size.hidden)
    config = {
        **sizes.config(size, "minimax_m2", "MiniMaxM2ForCausalLM", "silu"),
        "head_dim": size.head_dim,
        "intermediate_size": hidden,
        "num_experts_per_tok": used,
        "num_local_experts": count,
        "rms_norm_eps": fields.real("attention.layer_norm_rms_epsilon"),
        "rotary_dim": round(rope.share(fields, size.head_dim) * size.head_dim),
        **rope.fields_of(fields, size.head_dim),
    }
    theirs, block = f"{LAYER}.self_attn", "block_sparse_moe"
    parts = [
        *layout.attention(size),
        *layout.norm(f"{theirs}.q_norm", f"{BLOCK}.attn_q_norm", size.queries),
        *layout.norm(f"{theirs}.k_norm", f"{BLOCK}.attn_k_norm", size.keys),
        *layout.norms(size.width, llama.NORMS),
        *layout.mixture(size, count, hidden, block, ("w1", "w3", "w2")),
        experts.correction(f"{block}.e_score_correction_bias", count),
    ]
    return ConversionPlan(config, layout.whole(size, parts))
