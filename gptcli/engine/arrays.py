"""Arrays of numpy or torch: one way to write what is done with logits, wherever they are.

The names are those of the array API standard (data-apis.org/array-api, 2023.12), which numpy has
itself and array-api-compat gives torch. What the standard lacks is here, with a branch for each
where they differ. Importing this does not import torch: who has no tensors pays for none.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from typing import Any

import numpy as np

#: An array of either library; a type that both could share does not exist yet.
Array = Any

#: Bytes from which an array gets pages of its own.
_OWN_PAGES = 1 << 16
#: How many numbers of a row stand in a block of `_bound`.
_BLOCK = 64

#: Decorates what may overflow to an infinity or pass one on, which numpy alone would warn of.
quiet = np.errstate(over="ignore", invalid="ignore", divide="ignore")


def namespace(x: Array) -> Any:
    """The standard's functions for an array of this kind."""
    if isinstance(x, np.ndarray):
        # Not array_api_compat.numpy: it imports all of numpy, which takes longer than numpy.
        return np
    import array_api_compat.torch

    return array_api_compat.torch


def zeros(shape: Sequence[int], like: Array) -> Array:
    """Zeros of the kind of `like`.

    Those of numpy have memory of their own: a KV cache is made anew larger and larger, and what
    the heap gets back of the smaller ones would stay with it in pieces.
    """
    if not isinstance(like, np.ndarray):
        return namespace(like).zeros(tuple(shape), dtype=like.dtype, device=like.device)
    size = math.prod(shape) * like.itemsize
    if size < _OWN_PAGES:
        return np.zeros(shape, dtype=like.dtype)
    # Private: it is memory like any other, also after a fork.
    flags = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
    return np.frombuffer(mmap.mmap(-1, size, **flags), dtype=like.dtype).reshape(shape)


def longer(old: Array, length: int) -> Array:
    """The same rows, and zeros behind them where there are to be more."""
    if old.shape[0] >= length:
        return old
    grown = zeros((length, *old.shape[1:]), old)
    grown[: old.shape[0]] = old
    return grown


def rounded_up(count: int, multiple: int) -> int:
    """What a size is padded to: the least multiple that is not below it."""
    return -(-count // multiple) * multiple


def indices(values: Any, like: Array) -> Array:
    """Whole numbers as an int64 array where `like` is."""
    xp = namespace(like)
    return xp.asarray(values, dtype=xp.int64, device=like.device)


def host(x: Array) -> np.ndarray[Any, Any]:
    """The same numbers for numpy, without a copy where they are in main memory."""
    return x if isinstance(x, np.ndarray) else x.cpu().numpy()


def float32(x: Array) -> Array:
    """The same numbers in float32, without a copy where they are."""
    return x.astype(np.float32, copy=False) if isinstance(x, np.ndarray) else x.float()


def length(x: Array) -> Array:
    """The length of each vector, √ Σ x², (…, n) → (…), float32."""
    x = float32(x)
    xp = namespace(x)
    return xp.sqrt(xp.vecdot(x, x))


def top(x: Array, k: int) -> Array:
    """The k largest numbers of each row of (rows, n), the largest first."""
    if isinstance(x, np.ndarray):
        return np.stack([_top(row, k) for row in x])
    return x.topk(k, dim=-1).values


def top_ids(x: Array, k: int) -> Array:
    """Where the k largest of each row of (rows, n) are, the largest first, of equals the first.

    `topk` breaks ties by chance, so that another k would give others of those that tie. It only
    finds how many are in question: all that tie with the last of them.
    """
    if isinstance(x, np.ndarray):
        found = [np.flatnonzero(row >= _bound(row, k)) for row in x]
        pairs = zip(x, found, strict=True)
        return np.stack([ids[np.argsort(-row[ids], stable=True)[:k]] for row, ids in pairs])
    least = x.topk(k, dim=-1).values[:, -1:]
    wide = int((x >= least).sum(dim=-1).max())
    ids = x.topk(wide, dim=-1, sorted=False).indices.sort(dim=-1).values
    order = x.gather(-1, ids).argsort(dim=-1, descending=True, stable=True)
    return ids.gather(-1, order[:, :k])


def _top(row: np.ndarray[Any, Any], k: int) -> Array:
    bound = _bound(row, k)
    above = np.sort(row[row > bound])[::-1][:k]
    # Where fewer are above it, the others of the k are equal to it.
    return np.concatenate((above, np.full(k - len(above), bound, row.dtype)))


def _bound(row: np.ndarray[Any, Any], k: int) -> Any:
    """A number that the k-th largest is not less than, and mostly not far from.

    Of k blocks the largest numbers are not less than the least of them. This is far faster than
    np.partition of all, above all where most are -inf.
    """
    blocks = len(row) // _BLOCK
    if blocks < k:
        return -np.inf
    # Block by block down the columns: the largest of whole rows is found far faster.
    best = row[: blocks * _BLOCK].reshape(_BLOCK, blocks).max(axis=0)
    return np.partition(best, blocks - k)[blocks - k]


def ranked(x: Array) -> Array:
    """Where the numbers of the last axis are, the largest first, of equals the first one first."""
    if isinstance(x, np.ndarray):
        return np.argsort(-x, stable=True)
    return x.argsort(dim=-1, descending=True, stable=True)


def logsumexp(x: Array) -> Array:
    """The logarithm of Σ exp(x) over the last axis, which goes."""
    if isinstance(x, np.ndarray):
        return _logsumexp(x)[..., 0]
    return x.logsumexp(dim=-1)


def log_softmax(x: Array) -> Array:
    """Log-probabilities: x less its logsumexp, over the last axis."""
    if isinstance(x, np.ndarray):
        return x - _logsumexp(x)
    return x.log_softmax(dim=-1)


def softmax(x: Array) -> Array:
    """Probabilities: exp(x) / Σ exp(x) over the last axis."""
    if isinstance(x, np.ndarray):
        weights = np.exp(x - x.max(axis=-1, keepdims=True))
        return weights / weights.sum(axis=-1, keepdims=True)
    return x.softmax(dim=-1)


@quiet
def _logsumexp(x: np.ndarray[Any, Any]) -> Array:
    best = x.max(axis=-1, keepdims=True)
    # Of nothing but -inf it is -inf, and not NaN.
    best = np.where(np.isfinite(best), best, 0)
    rest = x - best
    # In place: fresh memory for a whole vocabulary takes longer than the sums.
    return best + np.log(np.exp(rest, out=rest).sum(axis=-1, keepdims=True))


def at_shares(chances: Array, shares: Sequence[float]) -> list[int]:
    """For each row of chances (rows, n), where the sums from the left on pass a share of them all.

    Shares are in [0, 1). The sums are in float64, so that rare tokens keep their share; what has
    the chance 0 adds nothing to them and is never found.
    """
    if isinstance(chances, np.ndarray):
        found = []
        for row, share in zip(chances, shares, strict=True):
            (ids,) = row.nonzero()
            sums = row[ids].astype(np.float64).cumsum()
            found.append(int(ids[sums.searchsorted(share * sums[-1], side="right")]))
        return found
    import torch

    # Apple's GPUs have no float64.
    there = chances.cpu() if chances.device.type == "mps" else chances
    at = torch.tensor(shares, dtype=torch.float64, device=there.device)
    return list(map(int, places_at_shares(there, at).tolist()))


def places_at_shares(chances: Array, shares: Array) -> Array:
    """The same of tensors, as one (rows,), where they are; shares (rows,) are float64."""
    import torch

    sums = chances.double().cumsum(dim=-1)
    return torch.searchsorted(sums, shares[:, None] * sums[:, -1:], right=True)[:, 0]


def far(x: Array) -> bool:
    """Whether it takes waiting for a GPU to look at a number of these."""
    return str(x.device) != "cpu"
