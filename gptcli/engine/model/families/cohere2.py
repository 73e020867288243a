"""Cohere 2: Cohere with a window and rotary positions in three layers of four, neither in the
fourth.
"""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import cohere, gemma2, llama
from gptcli.engine.model.rope_fields import rope
from gptcli.engine.model.size_fields import FULL, SLIDING, by_kind
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "Command R7B and Command A (2025), Aya's and Tiny Aya on them; text only"

rules = llama.rules


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' Cohere2Config."""
    for name in ("use_qk_norm", "use_gated_activation", "use_parallel_block"):
        config.refuse_unless(name, name != "use_qk_norm")
    config.refuse_unless("rotary_pct", 1.0)
    config = config.over({"max_position_embeddings": 8192})
    base = cohere.spec(config)
    turned = rope(config, base.head_dim, interleaved=True)
    pattern = config.count("sliding_window_pattern", 4)
    kinds = [SLIDING if (i + 1) % pattern else FULL for i in range(base.layers)]
    layers = by_kind(config, gemma2.window(config), [turned] * base.layers, kinds)
    return replace(
        base,
        each_layer=tuple(each if each.window else replace(each, rope=None) for each in layers),
    )
