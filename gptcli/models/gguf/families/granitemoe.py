"""Granite MoE: Granite with a mixture of experts in place of each MLP."""

from __future__ import annotations

from gptcli.models.gguf import rope, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import granite, llama
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.sizes import Sizes
from gptcli.models.gguf.takes import Take, Woven
from gptcli.models.gguf.tensors import BLOCK, LAYER


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `granitemoe` file. Raises ModelError for what is not supported, by name.

    So it does for experts that all tokens go through.
    """
    size, factors = granite.read(fields, llama.KEYS)
    experts, used = sizes.experts(fields)
    config = {
        **llama.common(fields, size, "granitemoe", "GraniteMoeForCausalLM"),
        **factors,
        "attention_bias": False,
        "num_local_experts": experts,
        "num_experts_per_tok": used,
    }
    parts: list[Take | Woven] = [
        *layout.attention(size, turned=True),
        *layout.norms(size.width, llama.NORMS),
        *mixture(size, experts),
    ]
    takes = layout.whole(size, parts)
    return ConversionPlan(config, takes, frozenset({rope.FREQUENCIES}))


def mixture(size: Sizes, experts: int) -> list[Take | Woven]:
    """A router, and two stacks of experts."""
    theirs, width, hidden = f"{LAYER}.block_sparse_moe", size.width, size.hidden
    pair = tuple(f"{BLOCK}.ffn_{part}_exps.weight" for part in ("gate", "up"))
    down = (experts, width, hidden)
    return [
        *layout.linear(f"{theirs}.router.layer", f"{BLOCK}.ffn_gate_inp", experts, width),
        Woven(f"{theirs}.input_linear.weight", pair, (experts, hidden, width), above=True),
        Take(f"{theirs}.output_linear.weight", f"{BLOCK}.ffn_down_exps.weight", down),
    ]
