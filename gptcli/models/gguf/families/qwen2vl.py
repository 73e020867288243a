"""Qwen2-VL and Qwen2.5-VL: their text model, which is Qwen2."""

from __future__ import annotations

from gptcli.models.gguf.families import qwen2
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `qwen2vl` file. Raises ModelError for what is not supported, by name."""
    return qwen2.plan(fields, frozenset({qwen2.SECTIONS}))
