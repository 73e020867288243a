"""Qwen3-VL: its text model, which is Qwen3."""

from __future__ import annotations

from gptcli.models.gguf.families import qwen3
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `qwen3vl` file. Raises ModelError for what is not supported, by name."""
    return qwen3.plan(fields, qwen3.SEEN)
