"""EXAONE 4: norms after the blocks and of each head; layers without a window do not turn, where
others have one.
"""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import gemma2, llama
from gptcli.engine.model.size_fields import FULL, SLIDING, by_kind, rms_norm
from gptcli.engine.model.spec import HeadNorm, ModelSpec

SUPPORTS = "EXAONE 4.0 1.2B and 32B"

rules = llama.rules


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' Exaone4Config."""
    norm = rms_norm(config, 1e-5)
    base = llama.spec(config.over({"attention_bias": False, "mlp_bias": False}))
    window = gemma2.window(config)
    ropes = [each.rope for each in base.each_layer]
    layers = by_kind(config, window, ropes, _kinds(config, window, base.layers))
    if window is not None:
        layers = tuple(each if each.window else replace(each, rope=None) for each in layers)
    return replace(
        base,
        each_layer=layers,
        norm=norm,
        qkv_bias=False,
        out_bias=False,
        mlp_bias=False,
        norms="after",
        head_norm=HeadNorm(norm, over="head"),
    )


def _kinds(config: ConfigFields, window: int | None, layers: int) -> list[str]:
    """What `sliding_window_pattern` says: every so many layers, or a text of L and G.

    The text is repeated, and the last layer has no window in any case.
    """
    if window is None:
        return [FULL] * layers
    pattern = config.get("sliding_window_pattern")
    if not isinstance(pattern, str):
        every = config.count("sliding_window_pattern", 4)
        return [SLIDING if (i + 1) % every else FULL for i in range(layers)]
    if not pattern or set(pattern) - {"L", "G"}:
        raise config.bad("sliding_window_pattern", "must be a number or a text of L and G")
    kinds = [SLIDING if pattern[i % len(pattern)] == "L" else FULL for i in range(layers)]
    return [*kinds[:-1], FULL]
