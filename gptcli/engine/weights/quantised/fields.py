"""Fields that the configs of several methods share."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gptcli.engine.model.config_fields import ConfigFields


def group_size(config: ConfigFields, default: int = 128) -> int | None:
    """Inputs that share a scale; None, stored as -1, where all inputs of an output do."""
    if config.get("group_size") == -1:
        return None
    return config.count("group_size", default)


def is_listed(module: str, names: Iterable[str]) -> bool:
    """Whether a module, or one that it is in, is among `names`.

    A name may be whole ("model.layers.0.mlp.gate"), or the end of one ("mlp.gate").
    """
    return any(re.search(rf"(^|\.){re.escape(name)}(\.|$)", module) for name in names)
