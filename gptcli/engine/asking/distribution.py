"""What the sampler makes of the logits, stage by stage, and how wide a distribution is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gptcli.engine import arrays
from gptcli.engine.arrays import Array, namespace
from gptcli.engine.asking import filters
from gptcli.engine.asking import sampling as sampler
from gptcli.engine.asking.constraining.masking import masked
from gptcli.engine.asking.history import History
from gptcli.plain import dataclass
from gptcli.types.constraints import STAGE
from gptcli.types.sampling import Sampling

if TYPE_CHECKING:
    from gptcli.engine.asking.constraining.guard import Mask


@dataclass(frozen=True)
class Staged:
    """The distribution after a stage, "logits" being the model's own: two float32 (vocab,)."""

    name: str
    logits: Array
    probabilities: Array


def staged(
    logits: Array, sampling: Sampling, history: History, mask: Mask | None = None
) -> list[Staged]:
    """Logits (vocab,) after every stage that runs; what is drawn from is as the last.

    mask: what a constraint allows, before all other stages. Where XTC may leave tokens out, they
    are those of both cases together, each as often as it comes. Raises NonFiniteError as
    `sampling.stages` does.
    """
    rows = logits[None]
    sampler.check_finite(rows)

    def found(*chances: float) -> list[tuple[str, Array]]:
        stages = list(sampler.stages(masked(rows, [mask]), sampling, [history], chances))
        if mask is not None:
            stages[:1] = [("logits", rows), (STAGE, stages[0][1])]
        return stages

    if not sampling.xtc:
        return [Staged(name, each[0], arrays.softmax(each)[0]) for name, each in found()]
    share = sampling.xtc_probability
    pairs = zip(found(0.0), found(1.0), strict=True)
    return [Staged(name, *_either(left_out, all_, share)) for (name, left_out), (_, all_) in pairs]


@arrays.quiet
def _either(one: Array, other: Array, share: float) -> tuple[Array, Array]:
    """Logits and probabilities (vocab,), in a share of cases of the one of two (1, vocab)."""
    xp = namespace(one)
    if bool(xp.all(one == other)):
        return one[0], arrays.softmax(one)[0]
    mixed = share * arrays.softmax(one) + (1 - share) * arrays.softmax(other)
    return xp.log(mixed)[0], mixed[0]


def at_temperature(logits: Array, value: float) -> Array:
    """Logits (vocab,) of the raw distribution at another temperature; 0 leaves the best alone."""
    rows = logits[None]
    return (filters.greedy(rows) if value == 0 else filters.temperature(rows, value))[0]


def cuts(stages: Sequence[Staged], ids: Sequence[int]) -> list[str | None]:
    """Per id the stage that filtered it out; None where it may be drawn, or never could be."""
    rows = [[value > -math.inf for value in stage.logits[list(ids)].tolist()] for stage in stages]
    names = [stage.name for stage in stages]
    found: list[str | None] = []
    for alive in zip(*rows, strict=True):
        gone = (i for i in range(1, len(alive)) if alive[i - 1] and not alive[i])
        at = next(gone, None)
        found.append(None if at is None else names[at])
    return found
