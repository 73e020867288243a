"""Nemotron-H: each block is Mamba-2, attention or an MLP; heads and widths of each say which."""

from __future__ import annotations

from typing import Any

from gptcli.models.gguf import experts, mamba, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.sizes import Sizes
from gptcli.models.gguf.takes import Take
from gptcli.models.gguf.tensors import BLOCK

_HEADS, _WIDTHS, _EPS = "attention.head_count_kv", "feed_forward_length", "layer_norm_rms_epsilon"
KEYS = sizes.KEYS | mamba.KEYS | {f"attention.{_EPS}", "attention.layer_norm_epsilon"}
#: Where files have no rotary positions, this says so, and some tell of sizes all the same.
KEYS |= {"rope.scaling.finetuned", "rope.dimension_count", "rope.freq_base"}
MIXER = "backbone.layers.{i}.mixer"


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `nemotron_h` file. Raises ModelError for what is not supported, by name."""
    fields.only(KEYS)
    size, kinds, memories, _ = read(fields, "mlp")
    mlp = layout.plain_mlp(size, f"{MIXER}.up_proj", f"{MIXER}.down_proj", bias=False)
    return built(size, kinds, memories, config(fields, size, kinds, memories), mlp)


def read(fields: Fields, third: str) -> tuple[Sizes, list[str], mamba.Memories, frozenset[str]]:
    """The sizes, what each block is, which without heads and memories is the `third`, the memories,
    and the tensors of blocks that guess further tokens.
    """
    fields.fixed("rope.scaling.finetuned", False)
    layers = fields.layers()
    heads, widths = (fields.counts(key, least=0) for key in (_HEADS, _WIDTHS))
    if len(set(heads) - {0}) != 1 or len(set(widths) - {0}) > 1:
        raise fields.error("has blocks of several sizes, which is not supported")
    kinds = ["attention" if heads[at] else third if widths[at] else "mamba" for at in range(layers)]
    if "mamba" not in kinds:
        raise fields.error("has no block with Mamba-2, which is not supported")
    size = sizes.read(fields, kv_heads=max(heads), hidden=max(widths) or 1)
    size, further = experts.running(fields, size)
    memories = mamba.read(fields, kinds.index("mamba"))
    return size, kinds[: size.layers], memories, further


def config(
    fields: Fields, size: Sizes, kinds: list[str], memories: mamba.Memories
) -> dict[str, Any]:
    """The fields of config.json of all but mixtures."""
    if not memories.normed:
        raise fields.error("has memories without a norm, which is not supported")
    found = {
        **sizes.config(size, "nemotron_h", "NemotronHForCausalLM", "relu2"),
        "attention_bias": False,
        "conv_kernel": memories.taps,
        "head_dim": size.head_dim,
        "layer_norm_epsilon": fields.real(f"attention.{_EPS}"),
        "layers_block_type": kinds,
        "mamba_head_dim": memories.size,
        "mamba_hidden_act": "silu",
        "mamba_num_heads": memories.heads,
        "mlp_bias": False,
        "mlp_hidden_act": "relu2",
        "n_groups": memories.groups,
        "ssm_state_size": memories.state,
        # No file says it, and all that are published have this one.
        "time_step_min": 0.001,
        "use_bias": False,
        "use_conv_bias": memories.filter_bias,
    }
    del found["hidden_act"]
    return found


def built(
    size: Sizes,
    kinds: list[str],
    memories: mamba.Memories,
    found: dict[str, Any],
    third: list[Take],
    further: frozenset[str] = frozenset(),
) -> ConversionPlan:
    """The plan; third: the tensors of what is neither attention nor memories."""
    attention = [
        *layout.linear(f"{MIXER}.q_proj", f"{BLOCK}.attn_q", size.queries, size.width),
        *layout.linear(f"{MIXER}.k_proj", f"{BLOCK}.attn_k", size.keys, size.width),
        *layout.linear(f"{MIXER}.v_proj", f"{BLOCK}.attn_v", size.keys, size.width),
        *layout.linear(f"{MIXER}.o_proj", f"{BLOCK}.attn_output", size.width, size.queries),
    ]
    mixers = {"attention": attention, "mamba": mamba.takes(memories, size.width, MIXER)}
    norm = layout.norm("backbone.layers.{i}.norm", f"{BLOCK}.attn_norm", size.width)

    def takes(layer: int) -> list[Take]:
        return [*norm, *mixers.get(kinds[layer], third)]

    embedding, final = "backbone.embeddings", "backbone.norm_f"
    return ConversionPlan(
        found,
        layout.whole(size, takes, embedding=embedding, final_norm=final),
        further=further,
    )
