"""Granite 4 with Mamba-2: in the layers without heads of keys, a mixture in all of them or none."""

from __future__ import annotations

from gptcli.models.gguf import mamba, rope, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import granite, granitemoe, lfm2, llama
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.sizes import Sizes
from gptcli.models.gguf.takes import Take, Woven
from gptcli.models.gguf.tensors import BLOCK, LAYER

_SHARED, _TURNED = "expert_shared_feed_forward_length", "rope.scaling.finetuned"


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `granitehybrid` file. Raises ModelError for what is not supported, by name."""
    fields.only(llama.KEYS | mamba.KEYS | granite.FACTORS.keys() | {_SHARED})
    size, kinds = lfm2.read(fields)
    attends = [kind == "full_attention" for kind in kinds]
    memories = mamba.read(fields, attends.index(False))
    count, used = sizes.experts(fields) if fields.get("expert_count") else (0, 0)
    beside = fields.count(_SHARED, size.hidden)
    if memories.inner % size.width or not memories.normed:
        raise fields.error(f"cannot have memories of {memories.inner} in all, or without a norm")
    config = {
        **llama.common(fields, size, "granitemoehybrid", "GraniteMoeHybridForCausalLM"),
        **{name: fields.real(key) for key, name in granite.FACTORS.items()},
        "attention_bias": False,
        "layer_types": ["attention" if each else "mamba" for each in attends],
        "mamba_conv_bias": memories.filter_bias,
        "mamba_d_conv": memories.taps,
        "mamba_d_head": memories.size,
        "mamba_d_state": memories.state,
        "mamba_expand": memories.inner // size.width,
        "mamba_n_groups": memories.groups,
        "mamba_n_heads": memories.heads,
        "mamba_proj_bias": False,
        "num_experts_per_tok": used,
        "num_local_experts": count,
        "position_embedding_type": "rope" if fields.get(_TURNED) is not False else "nope",
        "shared_intermediate_size": beside,
    }
    if config.pop("head_dim") != size.width // size.heads:
        raise fields.error(f"{fields.arch}.attention.key_length is not supported")
    every = [*layout.norms(size.width, llama.NORMS), *_mlp(size, beside, count)]
    heads = layout.attention(size, turned=True)
    mixer = mamba.takes(memories, size.width, f"{LAYER}.mamba")

    def takes(layer: int) -> list[Take | Woven]:
        return [*(heads if attends[layer] else mixer), *every]

    return ConversionPlan(config, layout.whole(size, takes), frozenset({rope.FREQUENCIES}))


def _mlp(size: Sizes, hidden: int, count: int) -> list[Take | Woven]:
    """The MLP that all tokens go through, and the mixture beside it."""
    theirs, width, end = f"{LAYER}.shared_mlp", size.width, "_shexp" if count else ""
    pair = tuple(f"{BLOCK}.ffn_{part}{end}.weight" for part in ("gate", "up"))
    found: list[Take | Woven] = [
        Woven(f"{theirs}.input_linear.weight", pair, (1, hidden, width), above=True, single=True),
        *layout.linear(f"{theirs}.output_linear", f"{BLOCK}.ffn_down{end}", width, hidden),
    ]
    return [*found, *granitemoe.mixture(size, count)] if count else found
