"""What the model would say if the stream were read out here: final norm, then the head."""

from __future__ import annotations

from dataclasses import dataclass

from gptcli.engine import arrays
from gptcli.engine.arrays import Array, namespace
from gptcli.engine.asking.sampling import check_finite, likeliest
from gptcli.engine.model.angles import Floats
from gptcli.engine.runner import HEAD_ROWS, Runner


@dataclass(frozen=True)
class Readout:
    """The likeliest tokens of some streams, and where some tokens stand among all.

    ids and probabilities are (streams, count); ranks and chances (streams, tokens), rank 1 being
    the likeliest and of equals the one with the lowest id.
    """

    ids: Array
    probabilities: Array
    ranks: Array
    chances: Array


def read_out(runner: Runner, streams: Array, count: int, tokens: Array | None = None) -> Readout:
    """Read out streams (n, width), before the final norm; tokens (n, m) are those to be ranked.

    Raises NonFiniteError where there is no distribution.
    """
    xp = namespace(streams)
    if tokens is None:
        tokens = xp.zeros((streams.shape[0], 0), dtype=xp.int64, device=streams.device)
    parts = [
        _read_out(runner, streams[at : at + HEAD_ROWS], count, tokens[at : at + HEAD_ROWS])
        for at in range(0, streams.shape[0], HEAD_ROWS)
    ]
    return Readout(*(xp.concat(each) for each in zip(*parts, strict=True)))


@arrays.quiet
def translated(streams: Array, weight: Floats, bias: Floats | None) -> Array:
    """Streams x (n, width) as a tuned lens has them read out, x + W x + b, of their own dtype."""
    xp, x = namespace(streams), arrays.float32(streams)
    weight = xp.asarray(weight, dtype=x.dtype, device=x.device)
    found = x + xp.matmul(x, xp.matrix_transpose(weight))
    if bias is not None:
        found = found + xp.asarray(bias, dtype=x.dtype, device=x.device)
    return xp.asarray(found, dtype=streams.dtype)


def _read_out(
    runner: Runner, streams: Array, count: int, tokens: Array
) -> tuple[Array, Array, Array, Array]:
    logits = runner.logits_of_streams(streams)
    check_finite(logits)
    xp = namespace(logits)
    values, ids = likeliest(logits, count)
    total = arrays.logsumexp(logits)[:, None]
    own = xp.take_along_axis(logits, tokens, axis=-1)
    return ids, xp.exp(values - total), _ranks(logits, tokens, own), xp.exp(own - total)


def _ranks(logits: Array, tokens: Array, own: Array) -> Array:
    """(n, vocab), (n, m), their logits (n, m) → (n, m)."""
    xp = namespace(logits)
    at = xp.arange(logits.shape[-1], device=logits.device)
    found = xp.zeros_like(tokens)
    for column in range(tokens.shape[-1]):
        each, value = tokens[:, column, None], own[:, column, None]
        ahead = (logits > value) | ((logits == value) & (at < each))
        found[:, column] = xp.sum(ahead, axis=-1) + 1
    return found
