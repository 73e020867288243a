"""What a mask does to logits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gptcli.engine.arrays import Array, namespace

if TYPE_CHECKING:
    from gptcli.engine.asking.constraining.guard import Mask


def masked(logits: Array, masks: Sequence[Mask | None]) -> Array:
    """Logits (rows, vocab) with -inf for what a row's mask forbids; the same array where none does.

    What is left keeps its number: a softmax of that is the model's own, renormalised.
    """
    found = [mask for mask in masks if mask is not None]
    if not found:
        return logits
    if len(masks) == 1:
        stacked = found[0][None]
    else:
        everything = np.ones_like(found[0])
        stacked = np.stack([everything if mask is None else mask for mask in masks])
    xp = namespace(logits)
    return xp.where(xp.asarray(stacked, device=logits.device), logits, -math.inf)
