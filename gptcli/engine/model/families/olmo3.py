"""OLMo 3: OLMo 2 with a window in three layers of four; only those without have stretched ropes."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import gemma2, olmo2
from gptcli.engine.model.rope_fields import by_sight
from gptcli.engine.model.size_fields import FULL, SLIDING, by_kind, sizes
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "OLMo 3 and 3.1, 7B and 32B"

rules = olmo2.rules


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' Olmo3Config."""
    size = sizes(config)
    theta = config.number("rope_theta", 500000.0)
    near, wide = by_sight(config, size["head_dim"], near=theta, wide=theta)
    count = config.layers("num_hidden_layers")
    kinds = [SLIDING if (i + 1) % 4 else FULL for i in range(count)]
    layers = by_kind(config, gemma2.window(config), [wide] * count, kinds)
    return olmo2.spec(
        config, tuple(replace(each, rope=near if each.window else wide) for each in layers)
    )
