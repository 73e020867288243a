"""Memories over many tokens: one by one as they are defined, and in chunks, which is the same.

Shapes: b batch, t time, g heads of queries and keys, r memories of each of them. query, key:
(b, t, g, key_dim); value: (b, t, g, r, value_dim); decay, the logarithms of what remains, and
strength: (b, t, g, r); memory: (b, g, r, key_dim, value_dim); all float32. A token

    memory ← exp(decay) · memory + key ⊗ written        out = query · memory

writes strength · value, or where it corrects strength · (value - key · exp(decay) · memory).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

#: Tokens of a chunk: their products with each other are matrices of that size.
CHUNK = 64
#: From how many tokens on chunks take less time.
MANY = 8


class Tokens(NamedTuple):
    """What tokens bring, see above."""

    query: Tensor
    key: Tensor
    value: Tensor
    decay: Tensor
    strength: Tensor


def remembered(tokens: Tokens, memory: Tensor, *, corrects: bool) -> tuple[Tensor, Tensor]:
    """What is read, as value, and the memory afterwards."""
    how = by_chunk if tokens.query.size(1) >= MANY else by_token
    return how(tokens, memory, corrects=corrects)


def by_token(tokens: Tokens, memory: Tensor, *, corrects: bool) -> tuple[Tensor, Tensor]:
    """Token after token."""
    query, key, value, decay, strength = tokens
    read = torch.empty_like(value)
    for t in range(query.size(1)):
        memory = memory * decay[:, t, ..., None, None].exp()
        written = value[:, t]
        if corrects:
            written = written - torch.einsum("bgk,bgrkv->bgrv", key[:, t], memory)
        written = written * strength[:, t, ..., None]
        memory = memory + key[:, t, :, None, :, None] * written[..., None, :]
        read[:, t] = torch.einsum("bgk,bgrkv->bgrv", query[:, t], memory)
    return read, memory


def by_chunk(
    tokens: Tokens, memory: Tensor, *, corrects: bool, chunk: int = CHUNK
) -> tuple[Tensor, Tensor]:
    """Chunk after chunk, whose tokens see each other as in attention, and what was before at once.

    With what remains of token s at token t, R[t, s] (arXiv:2405.21060, section 6; where tokens
    correct, what they write solves a triangular system, arXiv:2412.06464, section 3.3):

        written[t] = strength[t] · (value[t] - R[t, start] key[t] · memory
                                    - Σ_{s<t} R[t, s] (key[t] · key[s]) written[s])
        out[t] = R[t, start] query[t] · memory + Σ_{s≤t} R[t, s] (query[t] · key[s]) written[s]
    """
    query, key, value, decay, strength = tokens
    read = torch.empty_like(value)
    for start in range(0, query.size(1), chunk):
        part = slice(start, start + chunk)
        # (b, g, 1, t, key_dim), and (b, g, r, t, …).
        q, k = (each[:, part].transpose(1, 2).unsqueeze(2) for each in (query, key))
        v = value[:, part].permute(0, 2, 3, 1, 4)
        gone, weight = (each[:, part].permute(0, 2, 3, 1) for each in (decay, strength))
        since = gone.cumsum(-1).exp()[..., None]
        remains = _between(gone).exp()
        written = v * weight[..., None]
        if corrects:
            known = written - (weight[..., None] * since) * (k @ memory)
            met = weight[..., None] * remains * (k @ k.mT)
            # Only what is below the diagonal is looked at.
            written = torch.linalg.solve_triangular(met, known, upper=False, unitriangular=True)
        out = since * (q @ memory) + (remains * (q @ k.mT)) @ written
        read[:, part] = out.permute(0, 3, 1, 2, 4)
        left = remains[..., -1, :, None] * written
        memory = since[..., -1:, :] * memory + k.mT @ left
    return read, memory


def _between(gone: Tensor) -> Tensor:
    """(…, t) → (…, t, s): the sum of those after s up to t, -inf where s is after t.

    Each is summed up by itself: a difference of two long sums has lost what is small.
    """
    time = gone.size(-1)
    every = torch.ones(time, time, dtype=torch.bool, device=gone.device)
    sums = gone[..., :, None].expand(*gone.shape, time).masked_fill(~every.tril(-1), 0).cumsum(-2)
    return sums.masked_fill(~every.tril(), -torch.inf)
