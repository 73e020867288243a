"""What the sampler makes of the logits, stage by stage, and how wide a distribution is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gptcli.engine import sampling as sampler
from gptcli.engine.sampling import History
from gptcli.types import Sampling


@dataclass(frozen=True)
class Staged:
    """The distribution after a stage, "logits" being the model's own: two float32 (vocab,)."""

    name: str
    logits: Tensor
    probabilities: Tensor


@torch.inference_mode()
def staged(logits: Tensor, sampling: Sampling, history: History) -> list[Staged]:
    """Logits (vocab,) after every stage that runs; `sampling.draw` draws from the last.

    Raises NonFiniteError as `sampling.stages` does.
    """
    found = sampler.stages(logits[None], sampling, [history])
    return [Staged(name, rows[0], rows.softmax(dim=-1)[0]) for name, rows in found]


@torch.inference_mode()
def at_temperature(logits: Tensor, value: float) -> Tensor:
    """Logits (vocab,) of the raw distribution at another temperature; 0 leaves the best alone."""
    rows = logits[None]
    return (sampler.greedy(rows) if value == 0 else sampler.temperature(rows, value))[0]


def ranked(logits: Tensor) -> Tensor:
    """All ids (vocab,), the most probable first, of equals the lowest id first."""
    return logits.sort(descending=True, stable=True).indices


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


def entropy_bits(logits: Tensor) -> float:
    """The entropy of softmax(logits) (vocab,), in bits, summed in float64 on the CPU."""
    # MPS has no float64.
    logprobs = logits.cpu().double().log_softmax(dim=-1)
    return abs(float(torch.special.entr(logprobs.exp()).sum()) / math.log(2))
