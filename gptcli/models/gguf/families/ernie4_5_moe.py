"""ERNIE 4.5 with mixtures behind its first, dense blocks, each or every so many."""

from __future__ import annotations

from collections.abc import Iterable

from gptcli.models.gguf import experts, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import llama, qwen2
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.takes import Take, Woven

_STEP, _DENSE = "interleave_moe_layer_step", "leading_dense_block_count"
_KEYS = qwen2.KEYS | experts.KEYS | experts.SHARED_KEYS | {_STEP, _DENSE}
_NAMES = ("gate_proj", "up_proj", "down_proj")


def plan(fields: Fields) -> ConversionPlan:
    """The plan of an `ernie4_5-moe` file. Raises ModelError for what is not supported, by name.

    What the file says of the shared expert's width is another number; its tensors tell.
    """
    fields.only(_KEYS)
    size = sizes.read(fields)
    count, used = sizes.experts(fields)
    hidden = fields.count("expert_feed_forward_length")
    beside = experts.none_or(fields, "expert_shared_count")
    dense, step = experts.none_or(fields, _DENSE), fields.count(_STEP, 1)
    config = {
        **llama.common(fields, size, "ernie4_5_moe", "Ernie4_5_MoeForCausalLM"),
        "moe_intermediate_size": hidden,
        "moe_k": used,
        "moe_layer_end_index": size.layers - 1,
        "moe_layer_interval": step,
        "moe_layer_start_index": dense,
        "moe_num_experts": count,
        "moe_num_shared_experts": beside,
        "use_bias": False,
    }
    every = [*layout.attention(size), *layout.norms(size.width, llama.NORMS)]
    plain = [*every, *layout.gated_mlp(size)]
    corrected = "mlp.moe_statics.e_score_correction_bias"
    mixed = [
        *every,
        *layout.mixture(size, count, hidden, "mlp", _NAMES, exact=True),
        experts.correction(corrected, count, one_row=True),
        *(experts.shared(size, beside * hidden, "mlp.shared_experts") if beside else []),
    ]

    def parts(layer: int) -> Iterable[Take | Woven]:
        return mixed if layer >= dense and (layer + 1) % step == 0 else plain

    return ConversionPlan(config, layout.whole(size, parts))
