"""The table of embeddings as a space: which tokens lie in the direction of a vector."""

from __future__ import annotations

import torch
from torch import Tensor

from gptcli.engine.decoder import Decoder

#: Rows of the table that are held in float32 at once.
ROWS = 8192


@torch.inference_mode()
def vectors(decoder: Decoder, ids: list[int]) -> Tensor:
    """The rows of the input embedding of some tokens, (ids, width), float32."""
    return decoder.embedding.weight[ids].float()


@torch.inference_mode()
def cosines(decoder: Decoder, wanted: Tensor) -> Tensor:
    """The cosine of each vector (n, width) with every row of the input embedding, (n, vocab).

    A vector without a length has the cosine 0 with all.
    """
    table = decoder.embedding.weight
    unit = unit_length(wanted.float())
    parts = []
    for start in range(0, table.size(0), ROWS):
        parts.append(unit @ unit_length(table[start : start + ROWS].float()).T)
    return torch.cat(parts, dim=-1)


@torch.inference_mode()
def nearest(decoder: Decoder, ids: list[int], count: int) -> tuple[Tensor, Tensor]:
    """The tokens whose rows lie nearest to those of `ids`, themselves left out.

    Ids and cosines, (ids, count) each, the nearest first.
    """
    found = cosines(decoder, vectors(decoder, ids))
    found[torch.arange(len(ids)), ids] = -torch.inf
    values, tokens = found.topk(min(count, found.size(-1) - 1), dim=-1)
    return tokens, values


def unit_length(rows: Tensor) -> Tensor:
    """Rows of length 1; a row of zeros stays one."""
    return torch.nn.functional.normalize(rows, dim=-1)


def cosine(one: Tensor, other: Tensor) -> Tensor:
    """The cosine of each row with the other's, (…, width) twice → (…)."""
    return (unit_length(one.float()) * unit_length(other.float())).sum(dim=-1)
