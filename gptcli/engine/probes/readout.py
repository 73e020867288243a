"""What the model would say if the stream were read out here: final norm, then the head."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gptcli.engine.decoder import Decoder
from gptcli.engine.runner import HEAD_ROWS
from gptcli.engine.sampling import check_finite, likeliest


@dataclass(frozen=True)
class Readout:
    """The likeliest tokens of some streams, and where some tokens stand among all.

    ids and probabilities are (streams, count); ranks and chances (streams, tokens), rank 1 being
    the likeliest and of equals the one with the lowest id.
    """

    ids: Tensor
    probabilities: Tensor
    ranks: Tensor
    chances: Tensor


@torch.inference_mode()
def read_out(
    decoder: Decoder, streams: Tensor, count: int, tokens: Tensor | None = None
) -> Readout:
    """Read out streams (n, width), before the final norm; tokens (n, m) are those to be ranked.

    Raises NonFiniteError where there is no distribution.
    """
    if tokens is None:
        tokens = streams.new_empty((streams.size(0), 0), dtype=torch.int64)
    parts = [
        _read_out(decoder, some, count, ranked)
        for some, ranked in zip(streams.split(HEAD_ROWS), tokens.split(HEAD_ROWS), strict=True)
    ]
    return Readout(*(torch.cat(each) for each in zip(*parts, strict=True)))


def _read_out(
    decoder: Decoder, streams: Tensor, count: int, tokens: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    logits = decoder.logits(streams)
    check_finite(logits)
    probabilities = logits.softmax(dim=-1)
    ids = likeliest(logits, count)[1]
    chances = probabilities.gather(-1, tokens)
    return ids, probabilities.gather(-1, ids), _ranks(logits, tokens), chances


def _ranks(logits: Tensor, tokens: Tensor) -> Tensor:
    """(n, vocab), (n, m) → (n, m)."""
    at = torch.arange(logits.size(-1), device=logits.device)
    found = []
    for column in tokens.unbind(-1):
        own = logits.gather(-1, column[:, None])
        ahead = (logits > own) | ((logits == own) & (at < column[:, None]))
        found.append(ahead.sum(dim=-1) + 1)
    return torch.stack(found, dim=-1) if found else tokens
