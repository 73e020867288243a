"""DeepSeek-V2 and V3, Kimi-K2 and GLM-4.7-Flash: latent attention, dense blocks, then mixtures.

Files of old have what makes keys and values of latents in one matrix, as it is published; those of
today have one that comes to queries, turned, and one that makes values, each a stack of heads.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gptcli.models.gguf import experts, rope, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import llama
from gptcli.models.gguf.fields import Fields, decimal
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.sizes import Sizes
from gptcli.models.gguf.takes import Take, Woven
from gptcli.models.gguf.tensors import BLOCK, LAYER

_LATENT_KEYS = frozenset(
    {
        *("attention.q_lora_rank", "attention.kv_lora_rank"),
        *("attention.key_length_mla", "attention.value_length_mla"),
        "rope.scaling.yarn_log_multiplier",
    }
)
_KEYS = llama.KEYS | experts.ROUTING_KEYS | experts.SHARED_KEYS | experts.DENSE_KEYS | _LATENT_KEYS
_NAMES = ("gate_proj", "up_proj", "down_proj")


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `deepseek2` file. Raises ModelError for what is not supported, by name."""
    fields.only(_KEYS)
    size, further = experts.running(fields, latent=True)
    ranks = fields.count("attention.kv_lora_rank"), _queries(fields)
    keys, values = (
        fields.count(f"attention.{name}_length_mla", fields.count(f"attention.{name}_length"))
        for name in ("key", "value")
    )
    turned = fields.count("rope.dimension_count")
    if turned >= keys or turned % 2:
        raise fields.error(f"turns {turned} features of heads that have {keys}")
    count, used = sizes.experts(fields)
    hidden = fields.count("expert_feed_forward_length")
    beside = experts.none_or(fields, "expert_shared_count")
    dense = experts.none_or(fields, "leading_dense_block_count")
    sigmoid = fields.get("expert_gating_func") == experts.SIGMOID
    named = ("deepseek_v3", "DeepseekV3ForCausalLM") if sigmoid else _V2
    config = {
        **sizes.config(size, *named, "silu"),
        "num_key_value_heads": size.heads,
        "attention_bias": False,
        "first_k_dense_replace": dense,
        "kv_lora_rank": ranks[0],
        "moe_intermediate_size": hidden,
        "n_routed_experts": count,
        "n_shared_experts": beside,
        "num_experts_per_tok": used,
        "num_nextn_predict_layers": 0,
        "q_lora_rank": ranks[1],
        "qk_nope_head_dim": keys - turned,
        "qk_rope_head_dim": turned,
        "rms_norm_eps": fields.real("attention.layer_norm_rms_epsilon"),
        "v_head_dim": values,
        **experts.routing(fields, sigmoid=sigmoid),
        **_rope(fields, turned),
    }
    if not sigmoid:
        grouped = config["n_group"] > 1
        config["topk_method"] = "group_limited_greedy" if grouped else "greedy"
    every = [
        *attention(fields, size, ranks, (keys - turned, turned, values)),
        *layout.norms(size.width, llama.NORMS),
    ]
    first = [*every, *layout.gated_mlp(size)]
    corrected = "mlp.gate.e_score_correction_bias"
    mixed = [
        *every,
        *layout.mixture(size, count, hidden, "mlp", _NAMES, exact=True),
        *([experts.correction(corrected, count)] if sigmoid else []),
        *(experts.shared(size, beside * hidden, "mlp.shared_experts") if beside else []),
    ]

    def parts(layer: int) -> Iterable[Take | Woven]:
        return first if layer < dense else mixed

    return ConversionPlan(config, layout.whole(size, parts), further=further)


_V2 = "deepseek_v2", "DeepseekV2ForCausalLM"


def _queries(fields: Fields) -> int | None:
    """Features of the latents that queries are made of, None where these read the stream."""
    key = "attention.q_lora_rank"
    return None if fields.get(key) in (None, 0) else fields.count(key)


def _rope(fields: Fields, turned: int) -> dict[str, Any]:
    found = rope.fields_of(fields, turned)
    scaling = found.get("rope_scaling")
    if scaling is None or scaling["rope_type"] != "yarn":
        return found
    # A tenth of mscale_all_dim; that of cosines and sines, which is not told, is the same.
    share = fields.get("rope.scaling.yarn_log_multiplier")
    weight = decimal(10 * fields.real("rope.scaling.yarn_log_multiplier")) if share else 0.0
    if weight:
        scaling |= {"mscale": weight, "mscale_all_dim": weight}
    return found


def attention(
    fields: Fields, size: Sizes, ranks: tuple[int, int | None], dims: tuple[int, int, int]
) -> list[Take]:
    """Latent attention of a layer, under DeepSeek's names.

    ranks: features of the latents that keys and values are made of, and queries, if they are; dims:
    of a head's part without positions, of that with, and of its values.
    """
    theirs, width, heads = f"{LAYER}.self_attn", size.width, size.heads
    (rank, query_rank), (plain, turned, value) = ranks, dims
    rows, read, queries = heads * (plain + turned), width, "q"
    found: list[Take] = []
    if query_rank is not None:
        read, queries = query_rank, "q_b"
        found += layout.linear(f"{theirs}.q_a_proj", f"{BLOCK}.attn_q_a", read, width)
        found += layout.norm(f"{theirs}.q_a_layernorm", f"{BLOCK}.attn_q_a_norm", read)
    found += layout.linear(f"{theirs}.{queries}_proj", f"{BLOCK}.attn_{queries}", rows, read)
    both = rank + turned
    found += layout.linear(f"{theirs}.kv_a_proj_with_mqa", f"{BLOCK}.attn_kv_a_mqa", both, width)
    found += layout.norm(f"{theirs}.kv_a_layernorm", f"{BLOCK}.attn_kv_a_norm", rank)
    if fields.has("blk.0.attn_kv_b.weight"):
        rows = heads * (plain + value)
        found += layout.linear(f"{theirs}.kv_b_proj", f"{BLOCK}.attn_kv_b", rows, rank)
    else:
        for part, shape in (("k_b", (rank, plain)), ("v_b", (value, rank))):
            rows = heads * shape[0]
            name, source = f"{theirs}.{part}_proj.weight", f"{BLOCK}.attn_{part}.weight"
            stack, stored = (heads, *shape), (rows, shape[1])
            found.append(Take(name, source, stack, part=(0, rows), stored=stored))
    out = heads * value
    return [*found, *layout.linear(f"{theirs}.o_proj", f"{BLOCK}.attn_output", width, out)]
