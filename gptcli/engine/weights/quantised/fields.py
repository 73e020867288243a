"""What the configs and the tensors of several methods share."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.weights.quantised.base import QuantisedWeight
from gptcli.errors import ModelError

#: Of a module's name, far more than any has.
_MOST_PARTS = 32


def group_size(config: ConfigFields, default: int = 128) -> int | None:
    """Inputs that share a scale; None, stored as -1, where all inputs of an output do."""
    if config.get("group_size") == -1:
        return None
    return config.count("group_size", default)


def is_listed(module: str, names: Collection[str]) -> bool:
    """Whether a module, or one that it is in, is among `names`.

    A name may be whole ("model.layers.0.mlp.gate"), or the end of one ("mlp.gate").
    """
    parts = module.split(".", _MOST_PARTS)
    ends = range(1, len(parts) + 1)
    return any(".".join(parts[begin:end]) in names for end in ends for begin in range(end))


def in_groups(
    packed: QuantisedWeight, name: str, stored: NDArray[np.int32] | None, count: int, group: int
) -> NDArray[np.intp] | None:
    """The group of each input, (in,), from the part `name`; None where they are side by side.

    Raises ModelError for a group that is not one of `count`.
    """
    if stored is None:
        return None
    if stored.min() < 0 or stored.max() >= count:
        reason = f"{packed.module}.{name} names a group that is not there"
        raise ModelError(str(packed.parts[name].file), reason)
    if (stored == np.arange(len(stored)) // group).all():
        return None
    return stored.astype(np.intp)
