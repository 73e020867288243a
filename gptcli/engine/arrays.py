"""Arrays of numpy or torch: one way to write what is done with logits, wherever they are.

The names are those of the array API standard (data-apis.org/array-api, 2023.12), which numpy has
itself and array-api-compat gives torch. What the standard lacks is here, with a branch for each
where they differ. Importing this does not import torch: who has no tensors pays for none.
"""

from __future__ import annotations

from typing import Any

import numpy as np

#: An array of either library; a type that both could share does not exist yet.
Array = Any

#: Decorates what may overflow to an infinity or pass one on, which numpy alone would warn of.
quiet = np.errstate(over="ignore", invalid="ignore", divide="ignore")


def namespace(x: Array) -> Any:
    """The standard's functions for an array of this kind."""
    if isinstance(x, np.ndarray):
        # Not array_api_compat.numpy: it imports all of numpy, which takes longer than numpy.
        return np
    import array_api_compat.torch

    return array_api_compat.torch


def indices(values: Any, like: Array) -> Array:
    """Whole numbers as an int64 array where `like` is."""
    xp = namespace(like)
    return xp.asarray(values, dtype=xp.int64, device=like.device)


def host(x: Array) -> np.ndarray[Any, Any]:
    """The same numbers for numpy, without a copy where they are in main memory."""
    return x if isinstance(x, np.ndarray) else x.cpu().numpy()


def double(x: Array) -> Array:
    """In float64; moved to the CPU from where there is none (Apple's GPUs)."""
    if isinstance(x, np.ndarray):
        return x.astype(np.float64)
    return (x.cpu() if x.device.type == "mps" else x).double()


def top(x: Array, k: int) -> Array:
    """The k largest of the last axis, the largest first."""
    if isinstance(x, np.ndarray):
        return np.sort(np.partition(x, x.shape[-1] - k)[..., x.shape[-1] - k :])[..., ::-1]
    return x.topk(k, dim=-1).values


def top_ids(x: Array, k: int) -> Array:
    """Where the k largest of the last axis are, in any order, and any of those that tie."""
    if isinstance(x, np.ndarray):
        return np.argpartition(x, x.shape[-1] - k)[..., x.shape[-1] - k :]
    return x.topk(k, dim=-1, sorted=False).indices


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
    return best + np.log(np.exp(x - best).sum(axis=-1, keepdims=True))
