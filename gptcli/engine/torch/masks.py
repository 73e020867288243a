"""Which keys a query may see, and how much their distance counts against them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def visible(
    at: Tensor, keys: Tensor, window: int | None, chunk: int | None = None
) -> Tensor | None:
    """Which keys each query may see, (batch or 1, 1, time, total), True where it may.

    at, keys: their positions, (time,) or (batch, time), and (total,) or (batch, 1, total), as
    `places` gives them. None where no mask is needed: a single query that sees all, or queries that
    are all there is and see what is before them.
    """
    time, total = at.size(-1), keys.size(-1)
    unlimited = total <= min(total if each is None else each for each in (window, chunk))
    if at.dim() == keys.dim() == 1 and unlimited and time in (1, total):
        return None
    queries = at.unsqueeze(-1)
    seen = keys <= queries
    if window is not None:
        seen &= keys > queries - window
    if chunk is not None:
        seen &= keys >= queries - queries % chunk
    return seen.unsqueeze(-3) if seen.dim() == 3 else seen[None, None]


def places(total: int, origins: Sequence[int] | None, device: torch.device) -> Tensor:
    """Where `total` keys stand, from 0 or from each row's origin on."""
    keys = torch.arange(total, device=device)
    if origins is None or not any(origins):
        return keys
    return torch.tensor(origins, device=device)[:, None, None] + keys


def added(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """The mask of `visible` as numbers to add to the scores: 0, and -inf where none may look."""
    numbers = torch.zeros(mask.shape, dtype=dtype, device=mask.device)
    return numbers.masked_fill(~mask, -torch.inf)


def slopes(heads: int, device: torch.device) -> Tensor:
    """How steeply each head's scores fall with distance, (heads,), float32.

    For a power of two, 2 ** (-8 i / heads) for i = 1, 2, …, heads; for another number, those of
    the power below it, then every other one of the power above it (ALiBi, arXiv:2108.12409).
    """
    power = 1 << (heads.bit_length() - 1)
    steps = torch.arange(1, power + 1, dtype=torch.float32, device=device)
    found = 2.0 ** (-8.0 / power * steps)
    between = 2 * torch.arange(heads - power, dtype=torch.float32, device=device) + 1
    return torch.cat((found, 2.0 ** (-4.0 / power * between)))


def with_distance(
    mask: Tensor | None, at: Tensor, keys: Tensor, slopes: Tensor, dtype: torch.dtype
) -> Tensor:
    """The mask of `visible` as numbers to add to the scores, (batch or 1, heads, time, total).

    A key loses slope · distance, which is exact for near keys in every dtype; -inf where a query
    may not look.
    """
    distance = keys - at.unsqueeze(-1)  # at most 0 where seen
    distance = distance.unsqueeze(-3) if distance.dim() == 3 else distance[None, None]
    bias = slopes.view(1, -1, 1, 1) * distance
    seen = distance <= 0 if mask is None else mask
    return bias.masked_fill(~seen, -torch.inf).to(dtype)
