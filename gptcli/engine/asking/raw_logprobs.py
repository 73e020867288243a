"""Log-probabilities in the model's raw distribution, before any stage of the sampler."""

from __future__ import annotations

from collections.abc import Sequence

from gptcli.engine import arrays
from gptcli.engine.arrays import Array, namespace
from gptcli.engine.asking.sampling import likeliest
from gptcli.plain import dataclass


@dataclass(frozen=True)
class Alternative:
    """A token and its log-probability (natural log) in the model's raw distribution."""

    id: int
    logprob: float


@dataclass(frozen=True)
class Read:
    """A token of a prompt, and how much the model expected it after those before it.

    The first has nothing before it, and no log-probability.
    """

    id: int
    logprob: float | None
    top: tuple[Alternative, ...] = ()


def read(ids: Sequence[int], logits: Array, count: int) -> list[Read]:
    """Tokens of a prompt, each with what the row of logits (ids, vocab) before it gave to it."""
    logprobs, top = logprobs_of(logits, ids, count)
    return [Read(*each) for each in zip(ids, logprobs, top, strict=True)]


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
