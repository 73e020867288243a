"""Granite 3: Llama with factors on embeddings, scores, residuals and logits."""

from __future__ import annotations

from gptcli.models.gguf import sizes
from gptcli.models.gguf.families import llama
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan

#: The file's names → those of config.json.
_FACTORS = {
    "attention.scale": "attention_multiplier",
    "embedding_scale": "embedding_multiplier",
    "residual_scale": "residual_multiplier",
    "logit_scale": "logits_scaling",
}


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `granite` file. Raises ModelError for what is not supported, by name."""
    fields.only(llama.KEYS - {"expert_count", "expert_used_count"} | _FACTORS.keys())
    # llama.cpp takes this for a switch of the rotary positions.
    fields.fixed("rope.scaling.finetuned", True)
    size = sizes.read(fields)
    if size.head_dim != size.width // size.heads:
        raise fields.error("granite.attention.key_length is not supported")
    factors = {name: fields.real(key) for key, name in _FACTORS.items()}
    return llama.dense(fields, size, "granite", "GraniteForCausalLM", factors)
