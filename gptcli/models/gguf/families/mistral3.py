"""Mistral 3: its text model, which is Mistral."""

from __future__ import annotations

from gptcli.models.gguf import sizes
from gptcli.models.gguf.families import llama
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `mistral3` file. Raises ModelError for what is not supported, by name.

    So it does for Ministral 3, whose scores depend on the position.
    """
    fields.only(llama.KEYS - {"expert_count", "expert_used_count"})
    size = sizes.read(fields)
    return llama.dense(fields, size, "mistral", "MistralForCausalLM", {"sliding_window": None})
