"""Qwen2.5-VL: its text model alone, as Qwen2-VL's."""

from __future__ import annotations

from gptcli.engine.model.families import qwen2_vl

SUPPORTS = "Qwen2.5-VL 3B, 7B, 32B and 72B and models made of them: text only"

spec = qwen2_vl.spec
rules = qwen2_vl.rules
