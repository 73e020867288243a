"""SmolLM3: Llama with a layer without rope after every three with it."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import llama
from gptcli.engine.model.rope_fields import rope
from gptcli.engine.model.size_fields import FULL, SLIDING, by_kind, window_in_use
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "SmolLM3 3B"

rules = llama.rules


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' SmolLM3Config.

    `no_rope_layers` has a 1 for each layer with rope.
    """
    base = llama.spec(config)
    turned = config.flags("no_rope_layers", base.layers)
    if turned is None:
        interval = config.count("no_rope_layer_interval", 4)
        turned = tuple(bool((i + 1) % interval) for i in range(base.layers))
    window = window_in_use(config)
    kinds = [FULL if has_rope or window is None else SLIDING for has_rope in turned]
    own = rope(config, base.head_dim, theta=2e6)
    ropes = [own if has_rope else None for has_rope in turned]
    return replace(
        base,
        each_layer=by_kind(config, window, ropes, kinds),
        tied=config.flag("tie_word_embeddings", True),
    )
