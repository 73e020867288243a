"""Log-probabilities in the model's raw distribution, before any stage of the sampler."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gptcli.engine import arrays
from gptcli.engine.arrays import Array, namespace
from gptcli.engine.asking.sampling import likeliest
from gptcli.plain import dataclass
from gptcli.types.completion import Among


@dataclass(frozen=True)
class Alternative:
    """A token and its log-probability (natural log) in the model's raw distribution."""

    id: int
    logprob: float


@dataclass(frozen=True)
class Read:
    """A token of a prompt, and how much the model expected it after those before it.

    The first has nothing before it, and no log-probability. among: where it stood, if asked for.
    """

    id: int
    logprob: float | None
    top: tuple[Alternative, ...] = ()
    among: Among | None = None


def read(ids: Sequence[int], logits: Array, count: int, *, among: bool = False) -> list[Read]:
    """Tokens of a prompt, each with what the row of logits (ids, vocab) before it gave to it."""
    logprobs, top = logprobs_of(logits, ids, count)
    stood = among_all(logits, ids) if among else [None] * len(top)
    return [Read(*each) for each in zip(ids, logprobs, top, stood, strict=True)]


def among_all(logits: Array, ids: Sequence[int]) -> list[Among]:
    """Where one id per row of logits (rows, vocab) stands in the raw distribution."""
    xp = namespace(logits)
    picked = xp.take_along_axis(logits, arrays.indices(ids, logits)[:, None], axis=-1)
    ranks = (xp.sum(logits > picked, axis=-1) + 1).tolist()
    return [Among(rank, entropy_bits(row)) for rank, row in zip(ranks, logits, strict=True)]


def entropy_bits(logits: Array) -> float:
    """The entropy of softmax(logits) (vocab,), in bits, summed in float64 on the CPU."""
    logprobs = arrays.log_softmax(arrays.host(logits).astype(np.float64))
    # A token that cannot come adds 0 · log 0, which is 0.
    logprobs = logprobs[logprobs > -math.inf]
    return abs(float((np.exp(logprobs) * logprobs).sum()) / math.log(2))


def logprobs_of(
    logits: Array, ids: Sequence[int], count: int
) -> tuple[list[float], list[tuple[Alternative, ...]]]:
    """Raw log-probabilities of one id per row, and of each row's `count` most probable tokens."""
    logprobs = arrays.log_softmax(logits)  # (rows, vocab)
    wanted = arrays.indices(ids, logits)[:, None]
    picked = namespace(logits).take_along_axis(logprobs, wanted, axis=-1)
    values, at = likeliest(logprobs, count) if count else (logprobs[:, :0], logprobs[:, :0])
    top = [
        tuple(Alternative(*pair) for pair in zip(row_ids, row, strict=True))
        for row_ids, row in zip(at.tolist(), values.tolist(), strict=True)
    ]
    return picked[:, 0].tolist(), top
