"""Qwen3, dense: Llama with norms of each head's queries and keys."""

from __future__ import annotations

from gptcli.models.gguf import sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import llama, qwen2
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.sizes import Sizes
from gptcli.models.gguf.takes import Take

#: Of images, which are added to the first layers' streams, beside qwen2.SECTIONS.
SEEN = frozenset({qwen2.SECTIONS, "n_deepstack_layers"})


def plan(fields: Fields, more: frozenset[str] = frozenset()) -> ConversionPlan:
    """The plan of a `qwen3` file. Raises ModelError for what is not supported, by name.

    more: keys that change nothing in a text.
    """
    fields.only(qwen2.KEYS | more)
    size = sizes.read(fields)
    config = {
        **llama.common(fields, size, "qwen3", "Qwen3ForCausalLM"),
        "attention_bias": False,
        "use_sliding_window": False,
    }
    return ConversionPlan(config, layout.whole(size, [*attention(size), *layout.gated_mlp(size)]))


def attention(size: Sizes) -> list[Take]:
    """Attention with a norm of each head, and the norms before the blocks."""
    found = [*layout.attention(size), *layout.norms(size.width, llama.NORMS)]
    return found + head_norms(size)


def head_norms(size: Sizes, shift: float = 0.0) -> list[Take]:
    """The norms of queries and keys, one for all heads."""
    pairs = {"self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm"}
    return layout.norms(size.head_dim, pairs, shift=shift)
