"""Qwen3-VL with a mixture of experts: its text model, which is Qwen3 MoE."""

from __future__ import annotations

from gptcli.models.gguf.families import qwen3, qwen3moe
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `qwen3vlmoe` file. Raises ModelError for what is not supported, by name."""
    return qwen3moe.plan(fields, qwen3.SEEN)
